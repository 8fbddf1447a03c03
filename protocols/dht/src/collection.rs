//! Records as a collection that `replicas` places and repairs.

use std::sync::Arc;

use bytes::Bytes;
use guid::{Guid, Span};
use libp2p_swarm::StreamProtocol;
use replicas::{Collection, Entry, ItemId, PutRefused, StoreError, Stored};

use crate::record::MAX_CLOCK_SKEW;
use crate::store::{RecordStore, Refused};
use crate::{Item, MAX_RECORD, Record, RecordError};

/// The protocol in which replicas exchange records (D11).
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/hedgerow/dht/1.0.0");

/// The records of a store, by the names of their items.
pub struct Records {
    store: Arc<dyn RecordStore>,
}

impl Records {
    /// Serves the records of `store`.
    pub fn new(store: Arc<dyn RecordStore>) -> Records {
        Records { store }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn RecordStore> {
        &self.store
    }
}

/// Reads a record that somebody says is `item`'s (D4).
fn decode(item: Option<Item>, bytes: &[u8]) -> Result<Record, PutRefused> {
    let record = Record::decode(bytes).map_err(invalid)?;
    if item != Some(record.item()) {
        return Err(PutRefused::Invalid("the record is another item's".into()));
    }
    Ok(record)
}

fn invalid(error: RecordError) -> PutRefused {
    PutRefused::Invalid(error.to_string())
}

#[async_trait::async_trait]
impl Collection for Records {
    const PROTOCOL: StreamProtocol = PROTOCOL;
    const MAX_ITEM: usize = MAX_RECORD;

    fn key_of(&self, id: &ItemId) -> Option<Guid> {
        Item::from_bytes(id).map(|item| item.key)
    }

    fn verify(&self, id: &ItemId, bytes: &Bytes) -> Result<u64, PutRefused> {
        let record = decode(Item::from_bytes(id), bytes)?;
        // A record that has just expired is no peer's fault: its clock may be a little
        // behind ours. It is good to know that it was the newest; nobody is served it.
        match record.check_time(self.store.now()) {
            Err(RecordError::Expired { expires, now })
                if now.saturating_sub(expires) <= MAX_CLOCK_SKEW => {}
            outcome => outcome.map_err(invalid)?,
        }
        Ok(record.version())
    }

    /// A record that is too new by this node's clock, or has expired, is none the worse.
    fn is_intact(&self, id: &ItemId, bytes: &Bytes) -> bool {
        decode(Item::from_bytes(id), bytes).is_ok()
    }

    async fn get(&self, id: &ItemId) -> Result<Option<Bytes>, StoreError> {
        let Some(item) = Item::from_bytes(id) else {
            return Ok(None);
        };
        let record = self.store.get(item).await?;
        Ok(record.map(|record| record.encoded().clone()))
    }

    async fn put(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        let record = decode(Item::from_bytes(id), &bytes)?;
        match self.store.put(record).await {
            Ok(outcome) => Ok(Stored {
                version: outcome.version,
                new: outcome.new,
            }),
            Err(Refused::Invalid(error)) => Err(invalid(error)),
            Err(Refused::NoRoom(error)) => Err(StoreError::Full(error.to_string()).into()),
            Err(Refused::Store(error)) => Err(error.into()),
        }
    }

    async fn version(&self, id: &ItemId) -> Result<Option<u64>, StoreError> {
        match Item::from_bytes(id) {
            Some(item) => self.store.version(item).await,
            None => Ok(None),
        }
    }

    async fn list(
        &self,
        span: Span,
        after: Option<ItemId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let after = match after.map(|id| Item::from_bytes(&id)) {
            None => None,
            Some(Some(item)) => Some(item),
            // Nothing is behind what is no item.
            Some(None) => return Ok(Vec::new()),
        };
        let items = self.store.list(span, after, limit).await?;
        let entry = |(item, version): (Item, u64)| Entry {
            guid: item.key,
            id: id_of(item),
            version,
        };
        Ok(items.into_iter().map(entry).collect())
    }

    async fn discard_corrupt(&self, id: &ItemId) {
        let Some(item) = Item::from_bytes(id) else {
            return;
        };
        if let Err(error) = self.store.discard(item).await {
            tracing::warn!(%item, %error, "a corrupted record could not be discarded");
        }
    }
}

/// An item's name as `replicas` uses it.
pub(crate) fn id_of(item: Item) -> ItemId {
    Bytes::copy_from_slice(&item.to_bytes())
}
