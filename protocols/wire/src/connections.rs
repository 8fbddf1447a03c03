//! The open connections to each peer, and which of several to use (W11).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libp2p_core::ConnectedPoint;
use libp2p_identity::PeerId;
use libp2p_swarm::ConnectionId;

/// The open connections to each peer, as the swarm tells of them.
#[derive(Debug, Default)]
pub struct Connections {
    peers: BTreeMap<PeerId, Vec<Open>>,
}

#[derive(Debug)]
struct Open {
    id: ConnectionId,
    relayed: bool,
    outdone: Outdone,
}

/// Whether a connection should be used no more, because there is a better one to the same
/// peer. All clones change together.
#[derive(Clone, Debug, Default)]
pub struct Outdone(Arc<AtomicBool>);

impl Outdone {
    /// Whether it is so now; when the better connection is lost, it is so no more.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Connections {
    /// Notes a new connection.
    pub fn add(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let open = Open {
            id,
            relayed: endpoint.is_relayed(),
            outdone: Outdone::default(),
        };
        self.peers.entry(peer).or_default().push(open);
        self.compare(peer);
    }

    /// Forgets a connection. Whether it was the last one to the peer.
    pub fn remove(&mut self, peer: PeerId, id: ConnectionId) -> bool {
        let Some(list) = self.peers.get_mut(&peer) else {
            return false;
        };
        list.retain(|open| open.id != id);
        let last = list.is_empty();
        if last {
            self.peers.remove(&peer);
        }
        self.compare(peer);
        last
    }

    /// Relayed connections are outdone by a direct one.
    fn compare(&self, peer: PeerId) {
        let list = self.peers.get(&peer).map_or(&[][..], Vec::as_slice);
        let direct = list.iter().any(|open| !open.relayed);
        for open in list {
            let outdone = direct && open.relayed;
            open.outdone.0.store(outdone, Ordering::Relaxed);
        }
    }

    /// Whether there is a connection to the peer.
    pub fn contains(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// All connections to the peer, oldest first.
    pub fn all(&self, peer: &PeerId) -> impl Iterator<Item = ConnectionId> {
        self.peers
            .get(peer)
            .into_iter()
            .flatten()
            .map(|open| open.id)
    }

    /// The oldest of the best connections to the peer: both sides have had it the longest,
    /// so it is the least likely to be closed as one too many.
    pub fn oldest(&self, peer: &PeerId) -> Option<ConnectionId> {
        self.best(peer).next().map(|open| open.id)
    }

    /// The newest of the best connections to the peer, which is the most likely to be alive.
    pub fn newest(&self, peer: &PeerId) -> Option<ConnectionId> {
        self.best(peer).last().map(|open| open.id)
    }

    fn best(&self, peer: &PeerId) -> impl Iterator<Item = &Open> {
        let list = self.peers.get(peer).into_iter().flatten();
        list.filter(|open| !open.outdone.is_set())
    }

    /// What tells whether this connection is outdone, now and later; of one that is not open
    /// it never is.
    pub fn outdone(&self, peer: &PeerId, id: ConnectionId) -> Outdone {
        let mut list = self.peers.get(peer).into_iter().flatten();
        list.find(|open| open.id == id)
            .map(|open| open.outdone.clone())
            .unwrap_or_default()
    }
}
