//! Blocks as a collection that has replicas.

use std::sync::Arc;

use bytes::Bytes;
use cid::Cid;
use guid::{Guid, Span};
use libp2p_swarm::StreamProtocol;
use replicas::{Cached, Collection, Entry, ItemId, PutRefused, StoreError, Stored, hashing};

use crate::block::{guid_of, parse_cid};
use crate::{Block, Cache, MAX_BLOCK, Store};

/// The blocks of a store, as [`replicas`] sees them. Their ids are the bytes of their
/// CIDs; they never change, so all versions are 0.
pub struct Blocks {
    store: Arc<dyn Store>,
    cache: Option<Arc<Cache>>,
}

impl Blocks {
    /// The blocks of `store`.
    pub fn new(store: Arc<dyn Store>) -> Blocks {
        Blocks { store, cache: None }
    }

    /// The blocks of `store`, with copies of others in `cache`.
    pub fn with_cache(store: Arc<dyn Store>, cache: Option<Arc<Cache>>) -> Blocks {
        Blocks { store, cache }
    }

    /// Where copies are kept, if they are.
    pub fn kept_copies(&self) -> Option<&Arc<Cache>> {
        self.cache.as_ref()
    }

    /// Keeps a block for good: the copy of it that could be dropped is of no more use.
    async fn keep(&self, block: Block) -> Result<Stored, PutRefused> {
        let cid = *block.cid();
        let new = self.store.put(block).await?;
        if let Some(cache) = &self.cache {
            cache.remove(&cid).await;
        }
        Ok(Stored { version: 0, new })
    }

    /// Where they are kept.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

fn cid(id: &ItemId) -> Result<Cid, PutRefused> {
    parse_cid(id).ok_or_else(|| PutRefused::Invalid("no CID of a block that is kept here".into()))
}

fn id_of(cid: Cid) -> ItemId {
    cid.to_bytes().into()
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
        let Some(cid) = parse_cid(id) else {
            return Ok(None);
        };
        match (self.store.read(&cid).await?, &self.cache) {
            (None, Some(cache)) => Ok(cache.get(&cid).await),
            (found, _) => Ok(found),
        }
    }

    async fn put(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        let cid = cid(id)?;
        let block = hashing::run(move || Block::new(cid, bytes))
            .await
            .ok_or(StoreError::Closed)?
            .map_err(|error| PutRefused::Invalid(error.to_string()))?;
        self.keep(block).await
    }

    async fn put_trusted(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        self.keep(Block::trusted(cid(id)?, bytes)).await
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
            id: id_of(cid),
            version: 0,
        };
        Ok(cids.into_iter().map(entry).collect())
    }

    async fn cache(&self, id: &ItemId, item: Bytes) -> Cached {
        let (Some(cache), Some(cid)) = (&self.cache, parse_cid(id)) else {
            return Cached::default();
        };
        // A repair may have brought it here for good meanwhile.
        if !matches!(self.store.has(&cid).await, Ok(false)) {
            return Cached::default();
        }
        let written = cache.put(cid, item).await;
        Cached {
            kept: written.kept,
            dropped: written.dropped.into_iter().map(id_of).collect(),
        }
    }

    async fn cached(&self, limit: usize) -> Vec<ItemId> {
        let newest = self.cache.as_ref().map(|cache| cache.newest(limit));
        newest.unwrap_or_default().into_iter().map(id_of).collect()
    }

    fn describe(&self, id: &ItemId) -> String {
        parse_cid(id).map_or_else(|| "no CID".to_owned(), |cid| format!("block {cid}"))
    }

    async fn discard_corrupt(&self, id: &ItemId) {
        if let Some(cid) = parse_cid(id)
            && let Err(error) = self.store.remove_damaged(&cid).await
        {
            tracing::warn!(%cid, %error, "a corrupted block could not be removed");
        }
    }
}
