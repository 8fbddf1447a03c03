//! Where blocks go and where they come from.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;

/// The error of a sink or source, kept as the source of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Takes blocks. Called with many blocks at a time, in no promised order, but a node is only given
/// after all the blocks it links to have been taken.
#[async_trait]
pub trait BlockSink: Send + Sync {
    /// Takes one block; it is stored as well as the sink stores anything when this returns.
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError>;
}

/// Gives blocks. What it gives is verified by the caller.
#[async_trait]
pub trait BlockSource: Send + Sync {
    /// The bytes of one block, at most [`MAX_BLOCK`](crate::MAX_BLOCK) of them.
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError>;
}

#[async_trait]
impl<S: BlockSource + ?Sized> BlockSource for &S {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        (**self).get(cid).await
    }
}

/// Blocks in memory: for tests, and for DAGs known to be small.
#[derive(Debug, Default)]
pub struct MemoryBlocks(Mutex<HashMap<Cid, Bytes>>);

/// The block is not in memory.
#[derive(Debug, thiserror::Error)]
#[error("no block {0}")]
struct NoBlock(Cid);

impl MemoryBlocks {
    /// Number of different blocks.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The bytes of one block.
    pub fn block(&self, cid: &Cid) -> Option<Bytes> {
        self.lock().get(cid).cloned()
    }

    /// Adds a block under the given CID, which is not checked.
    pub fn insert(&self, cid: Cid, bytes: Bytes) {
        self.lock().insert(cid, bytes);
    }

    /// Takes a block away.
    pub fn remove(&self, cid: &Cid) -> Option<Bytes> {
        self.lock().remove(cid)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Cid, Bytes>> {
        // A map is whole after any panic: nothing here panics between two of its changes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlockSink for MemoryBlocks {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        self.insert(cid, bytes);
        Ok(())
    }
}

#[async_trait]
impl BlockSource for MemoryBlocks {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        self.block(cid).ok_or_else(|| NoBlock(*cid).into())
    }
}
