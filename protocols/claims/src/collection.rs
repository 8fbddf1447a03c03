//! Claims as a collection that `replicas` places and repairs.

use std::sync::Arc;

use bytes::Bytes;
use guid::{Guid, Span};
use libp2p_swarm::StreamProtocol;
use replicas::{Collection, Entry, ItemId, PutRefused, StoreError, Stored};

use crate::{Claim, Item, ItemError, MAX_ITEM, Refused, Store};

/// The protocol in which replicas exchange claims (CL1).
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/hedgerow/claims/1.0.0");

/// The claims of a store, by their names.
pub struct Claims {
    store: Arc<dyn Store>,
}

impl Claims {
    /// Serves the claims of `store`.
    pub fn new(store: Arc<dyn Store>) -> Claims {
        Claims { store }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

/// Reads an item that somebody says is this name's (CL3).
fn decode(id: &ItemId, bytes: &[u8]) -> Result<Item, PutRefused> {
    let name = Claim::from_bytes(id);
    let name = name.ok_or_else(|| PutRefused::Invalid("no name of a claim".into()))?;
    Item::decode(name, bytes).map_err(invalid)
}

fn invalid(error: ItemError) -> PutRefused {
    PutRefused::Invalid(error.to_string())
}

#[async_trait::async_trait]
impl Collection for Claims {
    const PROTOCOL: StreamProtocol = PROTOCOL;
    const MAX_ITEM: usize = MAX_ITEM;

    fn key_of(&self, id: &ItemId) -> Option<Guid> {
        Claim::from_bytes(id).map(|name| name.place())
    }

    fn verify(&self, id: &ItemId, bytes: &Bytes) -> Result<u64, PutRefused> {
        let item = decode(id, bytes)?;
        item.check_time(self.store.now()).map_err(invalid)?;
        Ok(item.version())
    }

    /// A release that has ended, or is of a time to come, is none the worse.
    fn is_intact(&self, id: &ItemId, bytes: &Bytes) -> bool {
        decode(id, bytes).is_ok()
    }

    async fn get(&self, id: &ItemId) -> Result<Option<Bytes>, StoreError> {
        let Some(name) = Claim::from_bytes(id) else {
            return Ok(None);
        };
        let item = self.store.get(name).await?;
        Ok(item.map(|item| item.encode()))
    }

    async fn put(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        match self.store.put(decode(id, &bytes)?).await {
            Ok(outcome) => Ok(Stored {
                version: outcome.version,
                new: outcome.new,
            }),
            Err(Refused::Invalid(error)) => Err(invalid(error)),
            Err(Refused::Store(error)) => Err(error.into()),
        }
    }

    async fn version(&self, id: &ItemId) -> Result<Option<u64>, StoreError> {
        match Claim::from_bytes(id) {
            Some(name) => self.store.version(name).await,
            None => Ok(None),
        }
    }

    async fn list(
        &self,
        span: Span,
        after: Option<ItemId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let after = match after.map(|id| Claim::from_bytes(&id)) {
            None => None,
            Some(Some(name)) => Some(name),
            // Nothing is behind what is no claim.
            Some(None) => return Ok(Vec::new()),
        };
        let names = self.store.list(span, after, limit).await?;
        let entry = |(name, version): (Claim, u64)| Entry {
            guid: name.place(),
            id: id_of(&name),
            version,
        };
        Ok(names.into_iter().map(entry).collect())
    }

    fn describe(&self, id: &ItemId) -> String {
        Claim::from_bytes(id).map_or_else(|| "no claim".into(), |name| format!("claim {name}"))
    }

    async fn discard_corrupt(&self, id: &ItemId) {
        let Some(name) = Claim::from_bytes(id) else {
            return;
        };
        if let Err(error) = self.store.discard(name).await {
            tracing::warn!(claim = %name, %error, "a corrupted claim could not be discarded");
        }
    }
}

/// A claim's name as `replicas` uses it.
pub(crate) fn id_of(name: &Claim) -> ItemId {
    name.to_bytes().into()
}
