//! What applications hold.

use std::sync::Arc;

use bytes::Bytes;
use cid::Cid;
use overlay::{Contact, RouteError};
use replicas::{Collection as _, GetError, PutError, PutReceipt, PutRefused, Stats, StoreError};

use crate::store::{Store, Usage, Verified};
use crate::{Block, Blocks};

/// Puts and gets blocks, here and on their replicas. Cheap to clone; callers that want
/// many blocks under way make many calls at a time.
#[derive(Clone)]
pub struct Handle {
    replicas: replicas::Handle<Blocks>,
}

impl Handle {
    pub(crate) fn new(replicas: replicas::Handle<Blocks>) -> Handle {
        Handle { replicas }
    }

    /// Where blocks are kept here.
    pub fn store(&self) -> &Arc<dyn Store> {
        self.replicas.collection().store()
    }

    /// Whether this node knows all that it has to keep, and has it (R23).
    pub fn is_settled(&self) -> bool {
        self.replicas.is_settled()
    }

    /// Completes the copies of a block in the background.
    pub fn repair(&self, cid: &Cid) {
        self.replicas.repair(&cid.to_bytes().into());
    }

    /// Forgets what is kept here of blocks; how many bytes that were. Others find no copy of
    /// them here any more.
    pub async fn let_go(&self, cids: &[Cid]) -> Result<u64, StoreError> {
        let bytes = self.store().remove_many(cids).await?;
        for cid in cids {
            self.replicas.lost(&cid.to_bytes().into());
        }
        Ok(bytes)
    }

    /// Forgets those of these blocks that nobody needs any more, as its [needs](crate::Needs)
    /// say; how many of how many bytes.
    pub async fn remove_unwanted(&self, cids: Vec<Cid>) -> Result<(u64, u64), StoreError> {
        let (gone, bytes) = self.replicas.collection().remove_unwanted(cids).await?;
        for cid in &gone {
            self.replicas.lost(&cid.to_bytes().into());
        }
        Ok((gone.len() as u64, bytes))
    }

    /// What was read of a block is not the block: unless it was put again meanwhile it goes, and
    /// is fetched again from its replicas in the background (B6).
    pub async fn damaged(&self, cid: &Cid) -> Result<(), StoreError> {
        if self.store().remove_damaged(cid).await? {
            self.replicas.lost(&cid.to_bytes().into());
            self.repair(cid);
        }
        Ok(())
    }

    /// Whether this node knows that it is one of those who have to keep a block.
    pub fn is_duty(&self, cid: &Cid) -> bool {
        self.replicas.is_duty(&cid.to_bytes().into())
    }

    /// Keeps a block here and on its replica set; durable here and on a majority of them
    /// when this returns.
    pub async fn put(&self, block: Block) -> Result<PutReceipt, PutError> {
        let id = block.cid().to_bytes().into();
        self.replicas.put_trusted(id, block.into_bytes()).await
    }

    /// The block from here, or from whoever of its replica set has it first. What is
    /// returned matches the CID.
    pub async fn get(&self, cid: &Cid) -> Result<Bytes, GetError> {
        self.replicas.get(&cid.to_bytes().into()).await
    }

    /// The block if it is kept here.
    pub async fn get_local(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.store().get(cid).await
    }

    /// Keeps a block here only.
    pub async fn put_local(&self, block: Block) -> Result<bool, StoreError> {
        let id = block.cid().to_bytes().into();
        let kept = self.replicas.collection();
        // For this node alone: nobody else is told to keep it.
        match kept.put_moved(&id, block.into_bytes(), true).await {
            Ok(stored) => Ok(stored.new),
            Err(PutRefused::Store(error)) => Err(error),
            Err(PutRefused::Invalid(reason)) => Err(StoreError::Failed(reason)),
        }
    }

    /// The block if it is kept here or a copy of it is, not hashed.
    pub async fn get_kept(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let id = cid.to_bytes().into();
        self.replicas.collection().get(&id).await
    }

    /// Has a verified block that came from elsewhere kept here as a copy, in the background
    /// and if there is room. Others can find it here.
    pub fn keep_copy(&self, block: &Block) {
        let id = block.cid().to_bytes().into();
        self.replicas.keep_copy(&id, block.bytes());
    }

    /// Whether the block is kept here.
    pub async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store().has(cid).await
    }

    /// How much is kept here.
    pub fn usage(&self) -> Usage {
        self.store().usage()
    }

    /// How much is kept beyond this node's duty and dropped for newer blocks; `None` where
    /// nothing is.
    pub fn cached(&self) -> Option<Usage> {
        let cache = self.replicas.collection().kept_copies();
        cache.map(|cache| cache.usage())
    }

    /// How many copies others can find here.
    pub fn published(&self) -> usize {
        self.replicas.published()
    }

    /// At most `count` nodes that publish a copy of a block beside its replicas.
    pub async fn holders(&self, cid: &Cid, count: usize) -> Result<Vec<Contact>, RouteError> {
        self.replicas.holders(&cid.to_bytes().into(), count).await
    }

    /// The nodes whose duty it is to keep a block, and whether they have it.
    ///
    /// # Errors
    /// See [`replicas::Handle::keepers`].
    pub async fn keepers(&self, cid: &Cid) -> Result<Vec<replicas::Keeper>, GetError> {
        self.replicas.keepers(&cid.to_bytes().into()).await
    }

    /// Reads and hashes every block kept here. Corrupted ones are fetched again from their
    /// replicas in the background.
    pub async fn verify(&self) -> Result<Verified, StoreError> {
        let verified = self.store().verify().await?;
        for cid in &verified.corrupted {
            self.damaged(cid).await?;
        }
        Ok(verified)
    }

    /// What happened since the start.
    pub fn stats(&self) -> Stats {
        self.replicas.stats()
    }
}
