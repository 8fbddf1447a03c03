//! What keeps blocks.

use bytes::Bytes;
use cid::Cid;
use futures::future::try_join_all;
use guid::Span;
use serde::{Deserialize, Serialize};

pub use replicas::StoreError;
use replicas::hashing;

use crate::Block;

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Blocks kept.
    pub blocks: u64,
    /// Their bytes, without what the store needs for itself.
    pub bytes: u64,
    /// Bytes that may be kept; `None` when only the disk decides.
    pub quota: Option<u64>,
}

/// What a look at every block found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Blocks looked at.
    pub checked: u64,
    /// Blocks whose bytes are not what was put, or cannot be read.
    pub corrupted: Vec<Cid>,
}

/// A set of blocks. Acknowledged means on disk, where there is one (B3).
#[async_trait::async_trait]
pub trait Store: Send + Sync + 'static {
    /// The bytes kept for a CID, hashed to see that they match;
    /// [`StoreError::Corrupt`] when they do not (B6).
    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let Some(bytes) = self.read(cid).await? else {
            return Ok(None);
        };
        let (checked, content) = (*cid, bytes.clone());
        match hashing::run(move || crate::block::verify(&checked, &content)).await {
            Some(Ok(())) => Ok(Some(bytes)),
            Some(Err(error)) => Err(StoreError::Corrupt(error.to_string())),
            None => Err(StoreError::Closed),
        }
    }

    /// The same without hashing, for a peer that hashes them anyway.
    async fn read(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError>;

    /// Keeps a block; whether it is new. It is durable when this returns (B3).
    async fn put(&self, block: Block) -> Result<bool, StoreError>;

    /// Keeps several blocks; how many are new. They are durable when this returns. When
    /// it fails, some of them may have been kept.
    async fn put_many(&self, blocks: Vec<Block>) -> Result<usize, StoreError> {
        let puts = blocks.into_iter().map(|block| self.put(block));
        let new = try_join_all(puts).await?;
        Ok(new.into_iter().filter(|new| *new).count())
    }

    /// Whether a block is kept.
    async fn has(&self, cid: &Cid) -> Result<bool, StoreError>;

    /// Bytes of a block, if it is kept.
    async fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        Ok(self.read(cid).await?.map(|bytes| bytes.len() as u64))
    }

    /// Forgets a block; whether it was kept.
    async fn remove(&self, cid: &Cid) -> Result<bool, StoreError>;

    /// Forgets several blocks; how many bytes of them were kept. When it fails, some of them
    /// may be gone.
    async fn remove_many(&self, cids: &[Cid]) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for cid in cids {
            let size = self.size(cid).await?;
            if self.remove(cid).await? {
                bytes += size.unwrap_or_default();
            }
        }
        Ok(bytes)
    }

    /// Forgets a block if what is kept of it is not the block; whether it was. One that was put
    /// again meanwhile stays.
    async fn remove_damaged(&self, cid: &Cid) -> Result<bool, StoreError> {
        match self.get(cid).await {
            Err(StoreError::Corrupt(_)) => self.remove(cid).await,
            kept => kept.map(|_| false),
        }
    }

    /// Bytes of blocks that may still be put, as far as quota and disk go; `None` where nothing
    /// bounds them.
    async fn room(&self) -> Result<Option<u64>, StoreError> {
        let usage = self.usage();
        Ok(usage.quota.map(|quota| quota.saturating_sub(usage.bytes)))
    }

    /// At most `limit` CIDs of an arc, in the order of their GUIDs going up from its
    /// start, or from just behind `after`.
    async fn list(
        &self,
        span: Span,
        after: Option<Cid>,
        limit: usize,
    ) -> Result<Vec<Cid>, StoreError>;

    /// How much is kept.
    fn usage(&self) -> Usage;

    /// Reads and hashes every block (B6).
    async fn verify(&self) -> Result<Verified, StoreError> {
        const PAGE: usize = 256;
        let mut verified = Verified::default();
        let mut after = None;
        loop {
            let page = self.list(Span::full(), after, PAGE).await?;
            for cid in &page {
                match self.get(cid).await {
                    Ok(Some(_)) => verified.checked += 1,
                    Ok(None) => {}
                    Err(StoreError::Corrupt(_)) => {
                        verified.checked += 1;
                        verified.corrupted.push(*cid);
                    }
                    Err(error) => return Err(error),
                }
            }
            if page.len() < PAGE {
                return Ok(verified);
            }
            after = page.last().copied();
        }
    }
}

/// The key of a block in a store: its GUID, so that an arc is a range, then its CID.
pub(crate) fn key_of(cid: &Cid) -> Vec<u8> {
    let cid = cid.to_bytes();
    let mut key = guid::Guid::of_cid(&cid).to_bytes().to_vec();
    key.extend_from_slice(&cid);
    key
}

/// Bytes of the GUID in front of a key.
pub(crate) const GUID_BYTES: usize = 16;

/// The CID in a key.
pub(crate) fn cid_of_key(key: &[u8]) -> Option<Cid> {
    crate::block::parse_cid(key.get(GUID_BYTES..)?)
}

/// The key ranges of an arc, in order, behind `after`: two when the arc passes zero. Each
/// is (from, whether `from` itself is left out, last GUID).
pub(crate) fn ranges(span: Span, after: Option<&Cid>) -> Vec<(Vec<u8>, bool, [u8; 16])> {
    const LAST: [u8; 16] = [0xff; 16];
    let wraps = span.to < span.from;
    let from = match after {
        Some(cid) => (key_of(cid), true),
        None => (span.from.to_bytes().to_vec(), false),
    };
    let behind_zero = wraps && from.0.as_slice() < span.from.to_bytes().as_slice();
    let (key, open) = from;
    if !wraps || behind_zero {
        return vec![(key, open, span.to.to_bytes())];
    }
    vec![(key, open, LAST), (vec![0; 16], false, span.to.to_bytes())]
}
