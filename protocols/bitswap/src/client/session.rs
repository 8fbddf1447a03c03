//! The peers of one session.

use libp2p_identity::PeerId;

/// Peers in the order in which they were named, and whether they have delivered.
#[derive(Default)]
pub(crate) struct Session {
    peers: Vec<(PeerId, bool)>,
}

impl Session {
    /// Adds a peer; whether it is new.
    pub(crate) fn add(&mut self, peer: PeerId) -> bool {
        let new = !self.peers.iter().any(|(known, _)| *known == peer);
        if new {
            self.peers.push((peer, false));
        }
        new
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers.iter().map(|(peer, _)| *peer)
    }

    pub(crate) fn has_delivered(&self, peer: PeerId) -> bool {
        self.peers.contains(&(peer, true))
    }

    /// A block came from the peer.
    pub(crate) fn delivered(&mut self, peer: PeerId) {
        self.note(peer, true);
    }

    /// It has to show again that it delivers.
    pub(crate) fn failed(&mut self, peer: PeerId) {
        self.note(peer, false);
    }

    fn note(&mut self, peer: PeerId, delivers: bool) {
        if let Some(known) = self.peers.iter_mut().find(|(known, _)| *known == peer) {
            known.1 = delivers;
        }
    }
}
