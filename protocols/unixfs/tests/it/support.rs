//! Content by rule, block stores that count or lie, and a few shortcuts.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use unixfs::{
    BlockSink, BlockSource, BoxError, ExportError, ExportOptions, Exported, ImportError, Imported,
    MemoryBlocks, Options,
};

/// The content of the vectors: SplitMix64 from state 0, little-endian.
pub(crate) fn splitmix64(size: usize) -> Vec<u8> {
    noise(0, size)
}

/// The same from another state.
pub(crate) fn noise(mut state: u64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((z ^ z >> 31).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Forgets everything: for imports of which only the CID matters.
pub(crate) struct Nowhere;

#[async_trait]
impl BlockSink for Nowhere {
    async fn put(&self, _: Cid, _: Bytes) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Blocks in memory that remember what was asked for, and may fail after a number of gets.
#[derive(Default)]
pub(crate) struct Counting {
    pub(crate) blocks: MemoryBlocks,
    pub(crate) asked: Mutex<HashSet<Cid>>,
    pub(crate) gets: AtomicU64,
    pub(crate) fail_after: Option<u64>,
    pub(crate) at_once: AtomicUsize,
    pub(crate) most_at_once: AtomicUsize,
}

#[async_trait]
impl BlockSource for Counting {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        let gets = self.gets.fetch_add(1, Ordering::SeqCst);
        if self.fail_after.is_some_and(|limit| gets >= limit) {
            return Err("the network is gone".into());
        }
        self.asked.lock().unwrap().insert(*cid);
        self.blocks.get(cid).await
    }
}

pub(crate) async fn import(path: &Path, blocks: &MemoryBlocks) -> Result<Imported, ImportError> {
    unixfs::import_path(path, blocks, &Options::default(), &|_| ()).await
}

pub(crate) async fn export<S: BlockSource>(
    cid: &Cid,
    source: &S,
    path: &Path,
) -> Result<Exported, ExportError> {
    unixfs::export_to_path(cid, source, path, &ExportOptions::default(), &|_| ()).await
}

pub(crate) async fn read(cid: &Cid, blocks: &MemoryBlocks) -> Result<Vec<u8>, ExportError> {
    let mut out = Vec::new();
    unixfs::export_to_writer(cid, blocks, &mut out, 8).await?;
    Ok(out)
}
