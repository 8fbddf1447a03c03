//! The overlay says who keeps what.

use std::time::Duration;

use guid::Guid;
use libp2p_identity::PeerId;
use overlay::Contact;
use tokio::sync::watch;

use crate::placement::{Placement, PlacementError};

#[async_trait::async_trait]
impl Placement for overlay::Handle {
    fn me(&self) -> Contact {
        overlay::Handle::me(self)
    }

    async fn replica_set(&self, key: Guid, k: usize) -> Result<Vec<Contact>, PlacementError> {
        overlay::Handle::replica_set(self, key, k)
            .await
            .map_err(|error| PlacementError(error.to_string()))
    }

    fn local_replica_set(&self, key: Guid, k: usize) -> Option<Vec<Contact>> {
        overlay::Handle::local_replica_set(self, key, k)
    }

    fn lost_together(&self, key: Guid, k: usize) -> usize {
        overlay::Handle::lost_together(self, key, k)
    }

    fn neighbours(&self) -> Vec<Contact> {
        let snapshot = self.snapshot();
        snapshot.leaf_set.contacts().cloned().collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        overlay::Handle::changes(self)
    }

    fn rtt(&self, peer: PeerId) -> Option<Duration> {
        let snapshot = self.snapshot();
        let near = snapshot.neighbourhood.iter();
        let table = snapshot.routing_table.iter();
        near.map(|near| (&near.contact, near.rtt))
            .chain(table.map(|cell| (&cell.contact, cell.rtt)))
            .find_map(|(contact, rtt)| rtt.filter(|_| contact.peer == peer))
    }
}
