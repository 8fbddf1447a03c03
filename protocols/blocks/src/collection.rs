//! Blocks as a collection that has replicas.

use std::sync::Arc;

use bytes::Bytes;
use cid::Cid;
use guid::{Guid, Span};
use libp2p_swarm::StreamProtocol;
use replicas::{Collection, Entry, ItemId, PutRefused, StoreError, Stored, hashing};

use crate::block::{guid_of, parse_cid};
use crate::{Block, MAX_BLOCK, Store};

/// The blocks of a store, as [`replicas`] sees them. Their ids are the bytes of their
/// CIDs; they never change, so all versions are 0.
pub struct Blocks {
    store: Arc<dyn Store>,
}

impl Blocks {
    /// The blocks of `store`.
    pub fn new(store: Arc<dyn Store>) -> Blocks {
        Blocks { store }
    }

    /// Where they are kept.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

fn cid(id: &ItemId) -> Result<Cid, PutRefused> {
    parse_cid(id).ok_or_else(|| PutRefused::Invalid("no CID of a block that is kept here".into()))
}

#[async_trait::async_trait]
impl Collection for Blocks {
    const PROTOCOL: StreamProtocol = StreamProtocol::new("/hedgerow/blocks/1.0.0");
    const MAX_ITEM: usize = MAX_BLOCK;

    fn key_of(&self, id: &ItemId) -> Option<Guid> {
        parse_cid(id).map(|_| Guid::of_cid(id))
    }

    fn verify(&self, id: &ItemId, bytes: &Bytes) -> Result<u64, PutRefused> {
        crate::block::verify(&cid(id)?, bytes)
            .map(|()| 0)
            .map_err(|error| PutRefused::Invalid(error.to_string()))
    }

    async fn get(&self, id: &ItemId) -> Result<Option<Bytes>, StoreError> {
        match parse_cid(id) {
            Some(cid) => self.store.read(&cid).await,
            None => Ok(None),
        }
    }

    async fn put(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        let cid = cid(id)?;
        let block = hashing::run(move || Block::new(cid, bytes))
            .await
            .ok_or(StoreError::Closed)?
            .map_err(|error| PutRefused::Invalid(error.to_string()))?;
        let new = self.store.put(block).await?;
        Ok(Stored { version: 0, new })
    }

    async fn put_trusted(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        let new = self.store.put(Block::trusted(cid(id)?, bytes)).await?;
        Ok(Stored { version: 0, new })
    }

    async fn version(&self, id: &ItemId) -> Result<Option<u64>, StoreError> {
        match parse_cid(id) {
            Some(cid) => Ok(self.store.has(&cid).await?.then_some(0)),
            None => Ok(None),
        }
    }

    async fn list(
        &self,
        span: Span,
        after: Option<ItemId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let after = after.as_deref().and_then(parse_cid);
        let cids = self.store.list(span, after, limit).await?;
        let entry = |cid: Cid| Entry {
            guid: guid_of(&cid),
            id: cid.to_bytes().into(),
            version: 0,
        };
        Ok(cids.into_iter().map(entry).collect())
    }

    fn describe(&self, id: &ItemId) -> String {
        parse_cid(id).map_or_else(|| "no CID".to_owned(), |cid| format!("block {cid}"))
    }

    async fn discard_corrupt(&self, id: &ItemId) {
        if let Some(cid) = parse_cid(id)
            && let Err(error) = self.store.remove(&cid).await
        {
            tracing::warn!(%cid, %error, "a corrupted block could not be removed");
        }
    }
}
