//! Peers that are not talked to for a while (O3).

use std::collections::{BTreeMap, VecDeque};

use libp2p_identity::PeerId;
use tokio::time::{Duration, Instant};

/// How many peers are remembered. An attacker makes PeerIds for nothing, so the list is
/// short and the oldest entry gives way.
pub(crate) const MAX_REFUSED: usize = 256;

/// Broken messages of a peer before it is refused. One may come from a version that
/// speaks otherwise or a bug; a stream of them costs time.
const MAX_STRIKES: u32 = 8;

#[derive(Debug)]
pub(crate) struct Refused {
    period: Duration,
    until: BTreeMap<PeerId, Instant>,
    /// Oldest first; the same peers as in `until`.
    order: VecDeque<PeerId>,
    /// Broken messages of peers that are connected.
    strikes: BTreeMap<PeerId, u32>,
}

impl Refused {
    pub(crate) fn new(period: Duration) -> Self {
        Self {
            period,
            until: BTreeMap::new(),
            order: VecDeque::new(),
            strikes: BTreeMap::new(),
        }
    }

    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.contains_at(Instant::now(), peer)
    }

    fn contains_at(&self, now: Instant, peer: &PeerId) -> bool {
        self.until.get(peer).is_some_and(|until| now < *until)
    }

    pub(crate) fn add(&mut self, peer: PeerId) {
        self.strikes.remove(&peer);
        if self
            .until
            .insert(peer, Instant::now() + self.period)
            .is_some()
        {
            self.order.retain(|listed| *listed != peer);
        }
        self.order.push_back(peer);
        if self.order.len() > MAX_REFUSED
            && let Some(oldest) = self.order.pop_front()
        {
            self.until.remove(&oldest);
        }
    }

    /// Counts a broken message; `true` if it was one too many.
    pub(crate) fn strike(&mut self, peer: PeerId) -> bool {
        let strikes = self.strikes.entry(peer).or_default();
        *strikes += 1;
        *strikes >= MAX_STRIKES
    }

    /// Forgets what a peer that is no longer connected did; so `strikes` is bounded by
    /// the connections.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId) {
        self.strikes.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_refused_for_a_while_and_the_list_is_bounded() {
        let mut refused = Refused::new(Duration::from_secs(60));
        let peer = PeerId::random();
        refused.add(peer);
        refused.add(peer);
        assert!(refused.contains(&peer));
        let later = Instant::now() + Duration::from_secs(61);
        assert!(!refused.contains_at(later, &peer));
        for _ in 0..2 * MAX_REFUSED {
            refused.add(PeerId::random());
        }
        assert_eq!(
            (refused.order.len(), refused.until.len()),
            (MAX_REFUSED, MAX_REFUSED)
        );
    }

    #[test]
    fn broken_messages_add_up_while_the_peer_is_connected() {
        let mut refused = Refused::new(Duration::from_secs(60));
        let peer = PeerId::random();
        assert!((1..MAX_STRIKES).all(|_| !refused.strike(peer)));
        refused.on_disconnected(&peer);
        assert!((1..MAX_STRIKES).all(|_| !refused.strike(peer)));
        assert!(refused.strike(peer));
    }
}
