//! Bytes in flight, bounded per peer and in total.

use std::collections::HashMap;
use std::sync::Arc;

use libp2p_identity::PeerId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hands out the right to hold item bytes in memory (R5).
///
/// The peer's share is taken before the common one: a peer that uses up its own waits
/// alone.
pub(crate) struct Budget {
    per_peer: usize,
    total: Arc<Semaphore>,
    peers: Mutex<HashMap<PeerId, Arc<Semaphore>>>,
}

/// The right to hold some bytes; given back when dropped.
pub(crate) struct Held {
    peer: OwnedSemaphorePermit,
    total: OwnedSemaphorePermit,
}

impl Budget {
    pub(crate) fn new(per_peer: usize, total: usize) -> Budget {
        Budget {
            per_peer,
            total: Arc::new(Semaphore::new(total)),
            peers: Mutex::default(),
        }
    }

    /// Waits until `bytes` may be held for `peer`. More than a budget counts as all of it.
    pub(crate) async fn take(&self, peer: PeerId, bytes: usize) -> Held {
        let share = self.share(peer);
        let bytes = bytes.min(self.per_peer) as u32;
        let peer = share
            .acquire_many_owned(bytes)
            .await
            .expect("the semaphore is never closed");
        let total = Arc::clone(&self.total)
            .acquire_many_owned(bytes)
            .await
            .expect("the semaphore is never closed");
        Held { peer, total }
    }

    fn share(&self, peer: PeerId) -> Arc<Semaphore> {
        let mut peers = self.peers.lock();
        if !peers.contains_key(&peer) && peers.len() >= crate::MAX_PEERS {
            // Whose share nobody holds or waits for can be made again when needed.
            peers.retain(|_, share| {
                Arc::strong_count(share) > 1 || share.available_permits() < self.per_peer
            });
        }
        let share = peers
            .entry(peer)
            .or_insert_with(|| Arc::new(Semaphore::new(self.per_peer)));
        Arc::clone(share)
    }
}

impl Held {
    /// Gives back what turned out not to be needed.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        for permit in [&mut self.peer, &mut self.total] {
            let extra = permit.num_permits().saturating_sub(bytes);
            drop(permit.split(extra));
        }
    }
}
