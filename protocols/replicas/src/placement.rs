//! Who keeps what: the overlay as this crate sees it.

use std::sync::Arc;
use std::time::Duration;

use guid::Guid;
use libp2p_identity::PeerId;
use overlay::Contact;
use tokio::sync::watch;

/// Why it is not known who keeps a key.
#[derive(Debug, Clone, thiserror::Error)]
#[error("nobody could say who keeps this key: {0}")]
pub struct PlacementError(pub String);

/// The view of the ring that decides where items belong.
#[async_trait::async_trait]
pub trait Placement: Send + Sync + 'static {
    /// This node.
    fn me(&self) -> Contact;

    /// The `k` nodes numerically closest to `key`, closest first; fewer where fewer
    /// exist. May contain this node.
    async fn replica_set(&self, key: Guid, k: usize) -> Result<Vec<Contact>, PlacementError>;

    /// The same where this node's own leaf set decides it, at no cost.
    fn local_replica_set(&self, key: Guid, k: usize) -> Option<Vec<Contact>>;

    /// How many of the `k` nodes that kept `key` are gone together, before others could make
    /// up for their copies. Right at the nodes next to the key.
    fn lost_together(&self, _key: Guid, _k: usize) -> usize {
        0
    }

    /// The leaf set: the nodes next to this one on both sides.
    fn neighbours(&self) -> Vec<Contact>;

    /// Changes value whenever the leaf set did.
    fn changes(&self) -> watch::Receiver<u64>;

    /// The round trip to a node, where it was measured.
    fn rtt(&self, _peer: PeerId) -> Option<Duration> {
        None
    }
}

#[async_trait::async_trait]
impl<P: Placement + ?Sized> Placement for Arc<P> {
    fn me(&self) -> Contact {
        (**self).me()
    }

    async fn replica_set(&self, key: Guid, k: usize) -> Result<Vec<Contact>, PlacementError> {
        (**self).replica_set(key, k).await
    }

    fn local_replica_set(&self, key: Guid, k: usize) -> Option<Vec<Contact>> {
        (**self).local_replica_set(key, k)
    }

    fn lost_together(&self, key: Guid, k: usize) -> usize {
        (**self).lost_together(key, k)
    }

    fn neighbours(&self) -> Vec<Contact> {
        (**self).neighbours()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        (**self).changes()
    }

    fn rtt(&self, peer: PeerId) -> Option<Duration> {
        (**self).rtt(peer)
    }
}
