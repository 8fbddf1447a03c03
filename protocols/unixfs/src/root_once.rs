//! An object's root, fetched once.

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use tokio::sync::OnceCell;

use crate::{BlockSource, BoxError};

/// A source that asks for an object's root block once, however often it is read: who looks
/// at what an object is before reading it would else pay that round trip twice, and for a
/// file of one block that is half of the time.
#[derive(Debug)]
pub struct RootOnce<S> {
    source: S,
    root: Cid,
    bytes: OnceCell<Bytes>,
}

impl<S> RootOnce<S> {
    /// Gives the blocks of `source`, and keeps the one called `root`.
    pub fn new(root: Cid, source: S) -> Self {
        Self {
            source,
            root,
            bytes: OnceCell::new(),
        }
    }
}

#[async_trait]
impl<S: BlockSource> BlockSource for RootOnce<S> {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        if *cid != self.root {
            return self.source.get(cid).await;
        }
        let bytes = self.bytes.get_or_try_init(|| self.source.get(cid)).await?;
        Ok(bytes.clone())
    }
}
