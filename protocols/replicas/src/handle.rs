//! What applications hold.

use std::sync::Arc;

use bytes::Bytes;
use guid::Guid;
use overlay::{Contact, RouteError};

use crate::agree;
use crate::collection::{Collection, Entry, ItemId, StoreError};
use crate::copies::Copies;
use crate::fetch::{self, GetError};
use crate::hand_over::{self, Holding};
use crate::keepers::{self, Keeper};
use crate::place::{self, PutError, PutReceipt};
use crate::shared::Shared;
use crate::stats::Stats;

/// Puts, gets and finds items. Cheap to clone; callers that want many items under way
/// make many calls at a time.
pub struct Handle<C> {
    shared: Arc<Shared<C>>,
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Handle {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C: Collection> Handle<C> {
    pub(crate) fn new(shared: Arc<Shared<C>>) -> Handle<C> {
        Handle { shared }
    }

    /// Keeps an item here and on its replica set. Answers when the copy here and a
    /// majority of the replica set are durable; who that is stands in the receipt (R10).
    pub async fn put(&self, id: ItemId, bytes: Bytes) -> Result<PutReceipt, PutError> {
        place::put(&self.shared, id, bytes, false).await
    }

    /// The same for an item that the caller has verified, which is not done again here.
    pub async fn put_trusted(&self, id: ItemId, bytes: Bytes) -> Result<PutReceipt, PutError> {
        place::put(&self.shared, id, bytes, true).await
    }

    /// Puts an item that the caller has verified on its replica set and nowhere else: here only
    /// where this node is a member (R24). Answers when all of them have answered.
    ///
    /// # Errors
    /// Where fewer than a majority keep it; then those that do go on keeping it.
    pub async fn hand_over(&self, id: &ItemId, bytes: Bytes) -> Result<PutReceipt, PutError> {
        hand_over::hand_over(&self.shared, id, bytes).await
    }

    /// The nodes whose duty it is to keep what belongs to `key`, and which of `wanted`, all of
    /// them there, each of them lacks (R25). One question where nothing is lacking.
    ///
    /// # Errors
    /// Where nobody can say who they are, or the store here fails. A node that does not
    /// answer is no error.
    pub async fn holding(&self, key: Guid, wanted: &[Entry]) -> Result<Vec<Holding>, GetError> {
        hand_over::holding(&self.shared, key, wanted).await
    }

    /// Has a verified item that came from elsewhere than its replicas kept here as a copy, in
    /// the background (R17), also at a member of its replica set: none of them has it. One
    /// that finds the queue full is not kept.
    pub fn keep_copy(&self, id: &ItemId, item: &Bytes) {
        self.shared.keep_found(id, item);
    }

    /// The item from here, or verified from whoever of its replica set has it first
    /// (R11). For items that never change; see [`Handle::get_newest`].
    pub async fn get(&self, id: &ItemId) -> Result<Bytes, GetError> {
        fetch::get(&self.shared, id).await
    }

    /// The newest version that a majority of the replica set knows (R11).
    pub async fn get_newest(&self, id: &ItemId) -> Result<Bytes, GetError> {
        fetch::get_newest(&self.shared, id).await
    }

    /// What a majority of the replica set agrees on (R22): the join of what they know, which
    /// a majority has when this returns.
    ///
    /// # Errors
    /// Where fewer than a majority answer, whatever those say.
    pub async fn get_agreed(&self, id: &ItemId) -> Result<Bytes, GetError> {
        agree::get_agreed(&self.shared, id).await
    }

    /// The items at one place of the ring, as a majority of its replica set lists them,
    /// each in the newest version seen. At most [`crate::MAX_LIST`] from each.
    pub async fn find(&self, key: Guid) -> Result<Vec<Entry>, GetError> {
        fetch::find(&self.shared, key).await
    }

    /// The item if it is kept here.
    pub async fn get_local(&self, id: &ItemId) -> Result<Option<Bytes>, StoreError> {
        self.shared.collection.get(id).await
    }

    /// Completes the copies of an item in the background.
    pub fn repair(&self, id: &ItemId) {
        self.shared.repair_later(id);
    }

    /// Told when a copy kept here is gone: a publication of it ends.
    pub fn lost(&self, id: &ItemId) {
        self.shared.lost(id);
    }

    /// How many copies beyond its duty this node publishes (R20).
    pub fn published(&self) -> usize {
        self.shared.copies.as_ref().map_or(0, Copies::published)
    }

    /// At most `count` nodes that publish a copy of an item (R19).
    ///
    /// # Errors
    /// [`RouteError::NotFound`] where nobody does, or nothing is looked for here.
    pub async fn holders(&self, id: &ItemId, count: usize) -> Result<Vec<Contact>, RouteError> {
        match &self.shared.copies {
            Some(copies) => copies.locate(id, count).await,
            None => Err(RouteError::NotFound),
        }
    }

    /// The nodes whose duty it is to keep an item, the closest to it first, each with what
    /// it says of it.
    ///
    /// # Errors
    /// Where nobody can say who they are, or the store here fails. A node that does not
    /// answer is no error.
    pub async fn keepers(&self, id: &ItemId) -> Result<Vec<Keeper>, GetError> {
        keepers::keepers(&self.shared, id).await
    }

    /// Whether this node knows that it belongs to an item's replica set.
    pub fn is_duty(&self, id: &ItemId) -> bool {
        self.shared.is_duty(id)
    }

    /// Whether this node has compared all that belongs here with those who share it, since it
    /// does (R23).
    pub fn is_settled(&self) -> bool {
        self.shared.duty.is_all_settled()
    }

    /// The collection itself.
    pub fn collection(&self) -> &Arc<C> {
        &self.shared.collection
    }

    /// What happened since the start.
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot()
    }
}
