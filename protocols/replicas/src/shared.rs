//! What the tasks of one collection have in common.

use std::sync::Arc;

use guid::Guid;
use overlay::Contact;
use tokio::sync::{Semaphore, mpsc};

use crate::budget::Budget;
use crate::collection::{Collection, ItemId};
use crate::config::Config;
use crate::placement::{Placement, PlacementError};
use crate::pool::Pool;
use crate::stats::Counters;

pub(crate) struct Shared<C> {
    pub(crate) config: Config,
    pub(crate) collection: Arc<C>,
    pub(crate) placement: Arc<dyn Placement>,
    pub(crate) pool: Pool,
    pub(crate) counters: Counters,
    /// Bytes held for peers' requests.
    pub(crate) inbound: Budget,
    /// Bytes on their way to peers.
    pub(crate) outbound: Budget,
    /// Bytes asked for and not yet handed over.
    pub(crate) fetching: Arc<Semaphore>,
    /// One digest is computed at a time for all peers.
    pub(crate) digesting: Semaphore,
    /// Items whose replica set misses a copy.
    pub(crate) repairs: mpsc::Sender<ItemId>,
}

impl<C: Collection> Shared<C> {
    /// The `k` nodes that keep `key`, closest first.
    pub(crate) async fn replica_set(
        &self,
        key: Guid,
        k: usize,
    ) -> Result<Vec<Contact>, PlacementError> {
        match self.placement.local_replica_set(key, k) {
            Some(set) => Ok(set),
            None => self.placement.replica_set(key, k).await,
        }
    }

    /// Has the item's replica set completed in the background.
    pub(crate) fn repair_later(&self, id: &ItemId) {
        if self.repairs.try_send(id.clone()).is_err() {
            // The next reconciliation finds it.
            self.counters.repair_dropped.one();
        }
    }

    /// The copy kept here is bad: it goes, so that reconciliation brings a good one.
    pub(crate) async fn found_corrupt(&self, id: &ItemId) {
        self.counters.corrupted.one();
        tracing::warn!(
            item = %self.collection.describe(id),
            "a stored item is corrupted, it will be fetched from its replicas"
        );
        self.collection.discard_corrupt(id).await;
        self.repair_later(id);
    }
}
