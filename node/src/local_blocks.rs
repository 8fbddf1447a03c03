//! The blocks of this node, as bitswap gives them to peers, and the news of new ones.

use std::sync::Arc;

use blocks::{Block, Cache, Store, StoreError, Usage, Verified};
use bytes::Bytes;
use cid::Cid;
use guid::Span;

/// What peers may have: what is stored, and copies that are cached. Whoever gets a block
/// hashes it, so it is not hashed here.
pub(crate) struct LocalBlocks {
    store: Arc<dyn Store>,
    cache: Option<Arc<Cache>>,
}

impl LocalBlocks {
    pub(crate) fn new(store: Arc<dyn Store>, cache: Option<Arc<Cache>>) -> Self {
        Self { store, cache }
    }
}

#[async_trait::async_trait]
impl bitswap::Source for LocalBlocks {
    async fn has(&self, cid: &Cid) -> bool {
        let cached = || self.cache.as_ref().is_some_and(|cache| cache.has(cid));
        self.store.has(cid).await.unwrap_or(false) || cached()
    }

    async fn get(&self, cid: &Cid) -> Option<Bytes> {
        match (self.store.read(cid).await, &self.cache) {
            (Ok(Some(bytes)), _) => Some(bytes),
            (_, Some(cache)) => cache.get(cid).await,
            (_, None) => None,
        }
    }
}

/// A store that tells bitswap of every block that is new in it, for peers that wait.
pub(crate) struct TellingStore {
    store: Arc<dyn Store>,
    bitswap: bitswap::Handle,
}

impl TellingStore {
    pub(crate) fn new(store: Arc<dyn Store>, bitswap: bitswap::Handle) -> Self {
        Self { store, bitswap }
    }
}

#[async_trait::async_trait]
impl Store for TellingStore {
    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.store.get(cid).await
    }

    async fn read(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.store.read(cid).await
    }

    async fn put(&self, block: Block) -> Result<bool, StoreError> {
        let cid = *block.cid();
        let new = self.store.put(block).await?;
        self.bitswap.arrived(&cid);
        Ok(new)
    }

    async fn put_many(&self, blocks: Vec<Block>) -> Result<usize, StoreError> {
        let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
        let new = self.store.put_many(blocks).await?;
        for cid in &cids {
            self.bitswap.arrived(cid);
        }
        Ok(new)
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store.has(cid).await
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        self.store.size(cid).await
    }

    async fn remove(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store.remove(cid).await
    }

    async fn remove_damaged(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store.remove_damaged(cid).await
    }

    async fn room(&self) -> Result<Option<u64>, StoreError> {
        self.store.room().await
    }

    async fn remove_many(&self, cids: &[Cid]) -> Result<u64, StoreError> {
        self.store.remove_many(cids).await
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Cid>,
        limit: usize,
    ) -> Result<Vec<Cid>, StoreError> {
        self.store.list(span, after, limit).await
    }

    fn usage(&self) -> Usage {
        self.store.usage()
    }

    async fn verify(&self) -> Result<Verified, StoreError> {
        self.store.verify().await
    }
}
