//! Blocks in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use cid::Cid;
use guid::Span;
use parking_lot::RwLock;

use crate::Block;
use crate::store::{GUID_BYTES, Store, StoreError, Usage, cid_of_key, key_of, ranges};

/// Keeps blocks until the process ends; for tests and measurements.
#[derive(Default)]
pub struct MemoryStore {
    kept: RwLock<Kept>,
    quota: Option<u64>,
}

#[derive(Default)]
struct Kept {
    blocks: BTreeMap<Vec<u8>, Bytes>,
    bytes: u64,
}

impl MemoryStore {
    /// An empty store without a quota.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// An empty store that keeps at most `quota` bytes of blocks.
    pub fn with_quota(quota: u64) -> MemoryStore {
        MemoryStore {
            quota: Some(quota),
            ..MemoryStore::default()
        }
    }
}

#[async_trait::async_trait]
impl Store for MemoryStore {
    async fn read(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        Ok(self.kept.read().blocks.get(&key_of(cid)).cloned())
    }

    async fn put(&self, block: Block) -> Result<bool, StoreError> {
        let key = key_of(block.cid());
        let mut kept = self.kept.write();
        if kept.blocks.contains_key(&key) {
            return Ok(false);
        }
        let bytes = kept.bytes + block.bytes().len() as u64;
        if let Some(quota) = self.quota.filter(|quota| bytes > *quota) {
            return Err(StoreError::Full(format!("its budget is {quota} bytes")));
        }
        kept.bytes = bytes;
        kept.blocks.insert(key, block.into_bytes());
        Ok(true)
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.kept.read().blocks.contains_key(&key_of(cid)))
    }

    async fn remove(&self, cid: &Cid) -> Result<bool, StoreError> {
        let mut kept = self.kept.write();
        let removed = kept.blocks.remove(&key_of(cid));
        kept.bytes -= removed.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(removed.is_some())
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Cid>,
        limit: usize,
    ) -> Result<Vec<Cid>, StoreError> {
        let kept = self.kept.read();
        let mut cids = Vec::new();
        for (from, open, last) in ranges(span, after.as_ref()) {
            let from = match open {
                true => Bound::Excluded(from),
                false => Bound::Included(from),
            };
            let keys = kept
                .blocks
                .range((from, Bound::Unbounded))
                .map(|(key, _)| key)
                .take_while(|key| key[..GUID_BYTES] <= last[..]);
            cids.extend(
                keys.take(limit - cids.len())
                    .filter_map(|key| cid_of_key(key)),
            );
        }
        Ok(cids)
    }

    fn usage(&self) -> Usage {
        let kept = self.kept.read();
        Usage {
            blocks: kept.blocks.len() as u64,
            bytes: kept.bytes,
            quota: self.quota,
        }
    }
}
