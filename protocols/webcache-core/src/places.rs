//! How many places each peer has at this home, so that none has them all.

use std::collections::BTreeMap;

use overlay_core::Peer;

/// Places of peers, each with at most so many; this node's own are not counted.
#[derive(Clone, Debug)]
pub(crate) struct Places<P> {
    me: P,
    most: usize,
    taken: BTreeMap<P, usize>,
}

impl<P: Peer> Places<P> {
    pub(crate) fn new(me: P, most: usize) -> Places<P> {
        Places {
            me,
            most,
            taken: BTreeMap::new(),
        }
    }

    /// One more for a peer, if it may have it.
    pub(crate) fn take(&mut self, peer: P) -> bool {
        if peer == self.me {
            return true;
        }
        let taken = self.taken.entry(peer).or_default();
        if *taken >= self.most {
            return false;
        }
        *taken += 1;
        true
    }

    pub(crate) fn free(&mut self, peer: P) {
        let Some(taken) = self.taken.get_mut(&peer) else {
            return;
        };
        *taken -= 1;
        if *taken == 0 {
            self.taken.remove(&peer);
        }
    }

    /// Whoever has places must be counted so.
    pub(crate) fn check(&self, peers: impl Iterator<Item = P>) {
        let mut counted = BTreeMap::new();
        for peer in peers.filter(|peer| *peer != self.me) {
            *counted.entry(peer).or_insert(0) += 1;
        }
        assert_eq!(counted, self.taken, "places miscounted");
        let most = self.taken.values().max();
        assert!(
            most.is_none_or(|most| *most <= self.most),
            "too many places"
        );
    }
}
