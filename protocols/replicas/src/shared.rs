//! What the tasks of one collection have in common.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use guid::Guid;
use libp2p_identity::PeerId;
use overlay::Contact;
use tokio::sync::{Semaphore, mpsc};

use crate::budget::Budget;
use crate::collection::{Collection, ItemId};
use crate::config::Config;
use crate::copies::Copies;
use crate::duty::Duty;
use crate::placement::{Placement, PlacementError};
use crate::pool::Pool;
use crate::stats::Counters;

pub(crate) struct Shared<C> {
    pub(crate) config: Config,
    pub(crate) collection: Arc<C>,
    pub(crate) placement: Arc<dyn Placement>,
    /// What this node may speak for.
    pub(crate) duty: Duty,
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
    /// Copies beyond duty; `None` where nothing is published or looked for.
    pub(crate) copies: Option<Copies>,
    /// Items that were got and are to be kept as copies.
    pub(crate) keeping: mpsc::Sender<(ItemId, Bytes)>,
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
        self.lost(id);
        self.repair_later(id);
    }

    /// The round trip to a node: as the overlay has measured it or, if that is less, as long
    /// as its quickest answer took. What was measured while a node joined is often too much.
    pub(crate) fn rtt(&self, peer: PeerId) -> Option<Duration> {
        let (measured, answer) = (self.placement.rtt(peer), self.pool.quickest(peer));
        measured.into_iter().chain(answer).min()
    }

    /// Has an item that was got kept here as a copy, in the background (R17).
    pub(crate) fn keep_copy(&self, id: &ItemId, item: &Bytes) {
        if !self.is_duty(id) {
            self.keep_found(id, item);
        }
    }

    /// The same for an item that no replica has: it is kept here whoever's duty it were.
    pub(crate) fn keep_found(&self, id: &ItemId, item: &Bytes) {
        if self.keeping.try_send((id.clone(), item.clone())).is_err() {
            self.counters.copies_skipped.one();
        }
    }

    /// A copy here was read, or made by a put. One beyond duty is to be published (R20).
    pub(crate) fn used_here(&self, id: &ItemId) {
        if let Some(copies) = &self.copies
            && !copies.used_again(id)
            && !self.is_duty(id)
        {
            copies.used(id);
        }
    }

    /// Whether so many of those who kept the item may be gone that no copy is left among
    /// those who can be asked, though one was acknowledged (R21).
    pub(crate) fn may_be_lost(&self, id: &ItemId) -> bool {
        let key = self.collection.key_of(id);
        key.is_some_and(|key| self.may_be_lost_at(key))
    }

    /// The same of whatever belongs to `key`.
    pub(crate) fn may_be_lost_at(&self, key: Guid) -> bool {
        let k = self.config.replicas;
        // Only those next to the key know who stood there.
        self.placement.local_replica_set(key, k).is_some()
            && self.placement.lost_together(key, k) > k / 2
    }

    /// There is no copy of the item here: a publication of it ends.
    pub(crate) fn lost(&self, id: &ItemId) {
        if let Some(copies) = &self.copies {
            copies.lost(id);
        }
    }

    /// Whether this node knows that it belongs to the item's replica set.
    pub(crate) fn is_duty(&self, id: &ItemId) -> bool {
        let Some(key) = self.collection.key_of(id) else {
            return false;
        };
        let set = self
            .placement
            .local_replica_set(key, self.config.replicas)
            .unwrap_or_default();
        let me = self.placement.me().peer;
        set.iter().any(|contact| contact.peer == me)
    }
}
