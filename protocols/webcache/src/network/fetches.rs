//! How many bodies are fetched on behalf of peers at a time (Q36).

use std::{collections::HashMap, sync::Arc};

use libp2p_identity::PeerId;
use parking_lot::Mutex;

/// Of all peers.
const MAX_FETCHES: usize = 64;

/// Of one, who was the first to ask.
const MAX_FETCHES_PER_PEER: usize = 8;

/// Who has bodies fetched, and how many.
#[derive(Debug, Default)]
pub(super) struct Fetches(Arc<Mutex<HashMap<PeerId, usize>>>);

/// The place of one body. Dropped, it is free.
#[derive(Debug)]
pub(super) struct Place {
    peer: PeerId,
    fetches: Arc<Mutex<HashMap<PeerId, usize>>>,
}

impl Fetches {
    /// A place for one more, if there is one.
    pub(super) fn take(&self, peer: PeerId) -> Option<Place> {
        let mut fetches = self.0.lock();
        let all: usize = fetches.values().sum();
        let of_peer = fetches.get(&peer).copied().unwrap_or(0);
        if all >= MAX_FETCHES || of_peer >= MAX_FETCHES_PER_PEER {
            return None;
        }
        fetches.insert(peer, of_peer + 1);
        Some(Place {
            peer,
            fetches: Arc::clone(&self.0),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut fetches = self.fetches.lock();
        if let Some(of_peer) = fetches.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                fetches.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_and_all_have_so_many_places() {
        let fetches = Fetches::default();
        let one = PeerId::random();
        let mut places: Vec<Place> = (0..MAX_FETCHES_PER_PEER)
            .map(|_| fetches.take(one).unwrap())
            .collect();
        assert!(fetches.take(one).is_none());
        places.pop();
        places.push(fetches.take(one).unwrap());
        for _ in MAX_FETCHES_PER_PEER..MAX_FETCHES {
            places.push(fetches.take(PeerId::random()).unwrap());
        }
        assert!(fetches.take(PeerId::random()).is_none());
        places.clear();
        assert!(fetches.0.lock().is_empty());
    }
}
