//! Blocks as a collection that has replicas.

use std::sync::Arc;

use bytes::Bytes;
use cid::Cid;
use guid::{Guid, Span};
use libp2p_swarm::StreamProtocol;
use replicas::{Cached, Collection, Entry, ItemId, PutRefused, StoreError, Stored, hashing};
use tokio::sync::RwLock;

use crate::block::{guid_of, parse_cid};
use crate::{Block, Cache, MAX_BLOCK, Store};

/// What is known of the need for blocks (`docs/specs/claims.md`).
#[async_trait::async_trait]
pub trait Needs: Send + Sync + 'static {
    /// Somebody puts the block, and may say only later that it is needed (CL6).
    async fn put_again(&self, cid: &Cid) -> Result<(), StoreError>;

    /// Whether nobody needs the block any more (CL7).
    async fn is_unwanted(&self, cid: &Cid) -> bool;
}

/// The blocks of a store, as [`replicas`] sees them. Their ids are the bytes of their
/// CIDs; they never change, so all versions are 0.
pub struct Blocks {
    store: Arc<dyn Store>,
    cache: Option<Arc<Cache>>,
    needs: Option<Arc<dyn Needs>>,
    /// Read while a block is put, written while unwanted ones are removed: a put that finds its
    /// block here is not told so just before it goes.
    removing: RwLock<()>,
}

impl Blocks {
    /// The blocks of `store`.
    pub fn new(store: Arc<dyn Store>) -> Blocks {
        Blocks {
            store,
            cache: None,
            needs: None,
            removing: RwLock::new(()),
        }
    }

    /// The blocks of `store`, with copies of others in `cache`.
    pub fn with_cache(store: Arc<dyn Store>, cache: Option<Arc<Cache>>) -> Blocks {
        Blocks {
            store,
            cache,
            needs: None,
            removing: RwLock::new(()),
        }
    }

    /// The same, of which those are not moved that `needs` knows to be needed no more.
    pub fn with_needs(self, needs: Arc<dyn Needs>) -> Blocks {
        Blocks {
            needs: Some(needs),
            ..self
        }
    }

    /// Where copies are kept, if they are.
    pub fn kept_copies(&self) -> Option<&Arc<Cache>> {
        self.cache.as_ref()
    }

    /// Keeps a block that somebody puts. Durable before it: whoever removes what nobody needs
    /// looks at that last.
    async fn keep_put(&self, block: Block) -> Result<Stored, PutRefused> {
        let Some(needs) = &self.needs else {
            return self.keep(block).await;
        };
        let _turn = self.removing.read().await;
        needs.put_again(block.cid()).await?;
        self.keep(block).await
    }

    /// Forgets those of these blocks that nobody needs any more; which, and how many bytes.
    pub(crate) async fn remove_unwanted(
        &self,
        cids: Vec<Cid>,
    ) -> Result<(Vec<Cid>, u64), StoreError> {
        let Some(needs) = &self.needs else {
            return Ok((Vec::new(), 0));
        };
        let _turn = self.removing.write().await;
        let mut going = Vec::with_capacity(cids.len());
        for cid in cids {
            if needs.is_unwanted(&cid).await {
                going.push(cid);
            }
        }
        let bytes = self.store.remove_many(&going).await?;
        Ok((going, bytes))
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

async fn hashed(id: &ItemId, bytes: Bytes) -> Result<Block, PutRefused> {
    let cid = cid(id)?;
    hashing::run(move || Block::new(cid, bytes))
        .await
        .ok_or(StoreError::Closed)?
        .map_err(|error| PutRefused::Invalid(error.to_string()))
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
        self.keep_put(hashed(id, bytes).await?).await
    }

    async fn put_trusted(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        self.keep_put(Block::trusted(cid(id)?, bytes)).await
    }

    async fn put_moved(
        &self,
        id: &ItemId,
        bytes: Bytes,
        verified: bool,
    ) -> Result<Stored, PutRefused> {
        if verified {
            return self.keep(Block::trusted(cid(id)?, bytes)).await;
        }
        let block = hashed(id, bytes).await?;
        // Whoever offers it does not know yet that nobody needs it.
        match self.is_wanted(id).await {
            true => self.keep(block).await,
            false => Ok(Stored {
                version: 0,
                new: false,
            }),
        }
    }

    async fn is_wanted(&self, id: &ItemId) -> bool {
        match (&self.needs, parse_cid(id)) {
            (Some(needs), Some(cid)) => !needs.is_unwanted(&cid).await,
            _ => true,
        }
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
