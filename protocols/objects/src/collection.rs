//! Heads as a collection that `replicas` places, joins and repairs (J11, J12).

use std::sync::Arc;

use bytes::Bytes;
use guid::{Guid, Span};
use libp2p_swarm::StreamProtocol;
use replicas::{Collection, Entry, ItemId, PutRefused, StoreError, Stored};

use crate::heads::{Heads, MAX_HEADS_BYTES};
use crate::store::{HeadStore, Refused};

/// The protocol in which replicas exchange heads.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/hedgerow/objects/1.0.0");

/// The heads of a store, by the lasting names of their objects.
pub struct Newest {
    store: Arc<dyn HeadStore>,
}

impl Newest {
    /// Serves the heads of `store`.
    pub fn new(store: Arc<dyn HeadStore>) -> Newest {
        Newest { store }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn HeadStore> {
        &self.store
    }
}

/// The name of an object's heads among the items.
pub(crate) fn id_of(aguid: Guid) -> ItemId {
    Bytes::copy_from_slice(&aguid.to_bytes())
}

fn aguid_of(id: &[u8]) -> Option<Guid> {
    id.try_into().ok().map(Guid::from_bytes)
}

fn decode(id: &ItemId, bytes: &[u8]) -> Result<Heads, PutRefused> {
    let aguid = aguid_of(id).ok_or_else(|| PutRefused::Invalid("not an AGUID".into()))?;
    Heads::decode(aguid, bytes).map_err(|error| PutRefused::Invalid(error.to_string()))
}

#[async_trait::async_trait]
impl Collection for Newest {
    const PROTOCOL: StreamProtocol = PROTOCOL;
    const MAX_ITEM: usize = MAX_HEADS_BYTES;

    fn key_of(&self, id: &ItemId) -> Option<Guid> {
        aguid_of(id)
    }

    fn verify(&self, id: &ItemId, bytes: &Bytes) -> Result<u64, PutRefused> {
        decode(id, bytes).map(|heads| heads.version())
    }

    fn join(&self, id: &ItemId, one: (u64, Bytes), other: (u64, Bytes)) -> (u64, Bytes) {
        match (decode(id, &one.1), decode(id, &other.1)) {
            (Ok(left), Ok(right)) => {
                let joined = left.join(right);
                (joined.version(), joined.encode())
            }
            // Both were verified before; what is not good says nothing.
            (Ok(_), Err(_)) => one,
            (Err(_), _) => other,
        }
    }

    async fn get(&self, id: &ItemId) -> Result<Option<Bytes>, StoreError> {
        let Some(aguid) = aguid_of(id) else {
            return Ok(None);
        };
        let heads = self.store.get(aguid).await?;
        Ok(heads.map(|heads| heads.encode()))
    }

    async fn put(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        let heads = decode(id, &bytes)?;
        match self.store.put(heads).await {
            Ok(outcome) => Ok(Stored {
                version: outcome.version,
                new: outcome.new,
            }),
            Err(Refused::NoRoom(error)) => Err(StoreError::Full(error.to_string()).into()),
            Err(Refused::Store(error)) => Err(error.into()),
        }
    }

    async fn version(&self, id: &ItemId) -> Result<Option<u64>, StoreError> {
        match aguid_of(id) {
            Some(aguid) => self.store.version(aguid).await,
            None => Ok(None),
        }
    }

    async fn list(
        &self,
        span: Span,
        after: Option<ItemId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let after = match after.map(|id| aguid_of(&id)) {
            None => None,
            Some(Some(aguid)) => Some(aguid),
            // Nothing is behind what is no item.
            Some(None) => return Ok(Vec::new()),
        };
        let objects = self.store.list(span, after, limit).await?;
        let entry = |(aguid, version): (Guid, u64)| Entry {
            guid: aguid,
            id: id_of(aguid),
            version,
        };
        Ok(objects.into_iter().map(entry).collect())
    }

    async fn discard_corrupt(&self, id: &ItemId) {
        let Some(aguid) = aguid_of(id) else {
            return;
        };
        if let Err(error) = self.store.discard(aguid).await {
            tracing::warn!(%aguid, %error, "damaged heads could not be dropped");
        }
    }
}
