//! The node's blocks, for importing and exporting here.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use cid::Cid;
use http::Method;
use node::api::types::{NotStored, Stored};
use unixfs::{BlockSink, BlockSource, BoxError};

use crate::client::Client;

/// Puts and gets blocks over the API.
#[derive(Debug)]
pub(crate) struct ApiBlocks {
    client: Client,
    wanted: AtomicUsize,
    fewest: AtomicUsize,
    failed: Mutex<Option<NotStored>>,
}

impl ApiBlocks {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            wanted: AtomicUsize::new(0),
            fewest: AtomicUsize::new(usize::MAX),
            failed: Mutex::new(None),
        }
    }

    /// Replicas wanted, and made of the block that has the fewest; `None` before the
    /// first block is stored.
    pub(crate) fn replicas(&self) -> Option<(usize, usize)> {
        let fewest = self.fewest.load(Ordering::Relaxed);
        (fewest != usize::MAX).then(|| (self.wanted.load(Ordering::Relaxed), fewest))
    }

    /// A replica that could not be made, for the person to read.
    pub(crate) fn example_of_failure(&self) -> Option<NotStored> {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait::async_trait]
impl BlockSink for ApiBlocks {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        let path = format!("/api/v1/blocks/{cid}");
        let stored: Stored = self.client.send_bytes(Method::PUT, &path, bytes).await?;
        self.wanted.fetch_max(stored.wanted, Ordering::Relaxed);
        self.fewest
            .fetch_min(stored.stored_on.len(), Ordering::Relaxed);
        if let Some(failed) = stored.failed.into_iter().next() {
            let mut example = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            example.get_or_insert(failed);
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl BlockSource for ApiBlocks {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        let path = format!("/api/v1/blocks/{cid}");
        Ok(self
            .client
            .call(Method::GET, &path, Bytes::new(), None)
            .await?)
    }
}
