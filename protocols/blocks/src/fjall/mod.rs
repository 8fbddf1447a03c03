//! Blocks on disk.

mod disk;
mod writer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use bytes::Bytes;
use cid::Cid;
use guid::Span;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, oneshot};

use crate::Block;
use crate::store::{GUID_BYTES, Store, StoreError, Usage, cid_of_key, key_of, ranges};
use replicas::engine_error::{free_on_disk, on_open, on_read, on_write};
use writer::{Job, Writers};

/// The format of what is on disk. Another one is refused (B5).
pub const FORMAT: u32 = 1;

/// Bytes of blocks that wait to be written or are being written at most: twice what the
/// two writers take at a time would not make them faster.
const MAX_WAITING: usize = 48 << 20;

/// What the smallest block counts as, for its place in the queue takes memory too.
const LEAST: usize = 4096;

/// Puts and removals of one block take turns, by one of so many locks: so many that two
/// different blocks seldom share one.
const TURNS: usize = 512;

/// The turn of a block, chosen by the last bytes of its CID, which are random.
fn turn_of(key: &[u8]) -> usize {
    let low = key.iter().rev().take(2);
    low.fold(0, |number, byte| number << 8 | usize::from(*byte)) % TURNS
}

/// What can be set for a [`FjallStore`].
#[derive(Clone, Copy, Debug)]
pub struct FjallOptions {
    /// Bytes of blocks to keep at most; `None` when only the disk decides.
    pub quota: Option<u64>,
    /// Bytes of the disk that stay free: a file system that is full to the last byte
    /// fails in the middle of writes, and not only ours (B7).
    pub keep_free: u64,
    /// Bytes of index and content cached. Content is read once in most cases.
    pub cache: u64,
}

impl Default for FjallOptions {
    fn default() -> FjallOptions {
        FjallOptions {
            quota: None,
            keep_free: 128 << 20,
            cache: 8 << 20,
        }
    }
}

/// Blocks in a directory, each durable before its put returns (B3, B4).
///
/// One keyspace holds block GUID and CID as the key and the bytes, apart from the keys,
/// as the value; another one the format's number.
pub struct FjallStore {
    disk: Arc<Disk>,
    writers: Writers,
    turns: Vec<Arc<Mutex<()>>>,
    waiting: Arc<Semaphore>,
}

/// What the writers and the readers share.
struct Disk {
    path: PathBuf,
    database: Database,
    blocks: Keyspace,
    options: FjallOptions,
    count: AtomicU64,
    bytes: AtomicU64,
}

impl FjallStore {
    /// Opens the store in a directory, or makes one there. Takes as long as reading the
    /// names of all blocks takes.
    pub async fn open(path: &Path, options: FjallOptions) -> Result<FjallStore, StoreError> {
        let path = path.to_owned();
        let disk = tokio::task::spawn_blocking(move || Disk::open(path, options))
            .await
            .map_err(|_| StoreError::Closed)??;
        let disk = Arc::new(disk);
        Ok(FjallStore {
            writers: Writers::start(&disk)?,
            disk,
            turns: (0..TURNS).map(|_| Arc::default()).collect(),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
        })
    }

    async fn turn(&self, key: &[u8]) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turns[turn_of(key)]).lock_owned().await
    }

    async fn on_disk<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    {
        let disk = Arc::clone(&self.disk);
        tokio::task::spawn_blocking(move || work(&disk))
            .await
            .map_err(|_| StoreError::Closed)?
    }
}

#[async_trait::async_trait]
impl Store for FjallStore {
    async fn read(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let key = key_of(cid);
        self.on_disk(move |disk| disk.read(&key)).await
    }

    async fn put(&self, block: Block) -> Result<bool, StoreError> {
        let room = Arc::clone(&self.waiting)
            .acquire_many_owned(block.bytes().len().max(LEAST) as u32)
            .await
            .map_err(|_| StoreError::Closed)?;
        let key = key_of(block.cid());
        let turn = self.turn(&key).await;
        let (done, outcome) = oneshot::channel();
        let job = Job {
            key,
            bytes: block.into_bytes(),
            done,
            _held: (room, turn),
        };
        self.writers.give(job)?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        let key = key_of(cid);
        self.on_disk(move |disk| disk.has(&key)).await
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        let key = key_of(cid);
        self.on_disk(move |disk| disk.size(&key)).await
    }

    async fn remove(&self, cid: &Cid) -> Result<bool, StoreError> {
        let key = key_of(cid);
        let turn = self.turn(&key).await;
        let removed = self.on_disk(move |disk| {
            let _turn = turn;
            disk.remove(&[key])
        });
        Ok(removed.await?.0 > 0)
    }

    async fn remove_many(&self, cids: &[Cid]) -> Result<u64, StoreError> {
        let mut keys: Vec<_> = cids.iter().map(key_of).collect();
        keys.sort_unstable();
        keys.dedup();
        // In the order of their numbers, each once: two calls never wait for each other.
        let numbers: BTreeSet<usize> = keys.iter().map(|key| turn_of(key)).collect();
        let mut turns = Vec::with_capacity(numbers.len());
        for number in numbers {
            turns.push(Arc::clone(&self.turns[number]).lock_owned().await);
        }
        let removed = self.on_disk(move |disk| {
            let _turns = turns;
            disk.remove(&keys)
        });
        Ok(removed.await?.1)
    }

    async fn remove_damaged(&self, cid: &Cid) -> Result<bool, StoreError> {
        let (cid, key) = (*cid, key_of(cid));
        let turn = self.turn(&key).await;
        self.on_disk(move |disk| {
            let _turn = turn;
            let damaged = match disk.read(&key) {
                Ok(Some(bytes)) => crate::block::verify(&cid, &bytes).is_err(),
                Ok(None) => false,
                Err(StoreError::Corrupt(_)) => true,
                Err(error) => return Err(error),
            };
            Ok(damaged && disk.remove(&[key])?.0 > 0)
        })
        .await
    }

    async fn room(&self) -> Result<Option<u64>, StoreError> {
        self.on_disk(|disk| {
            let usage = disk.bytes.load(Ordering::Relaxed);
            let quota = disk.options.quota.unwrap_or(u64::MAX);
            Ok(Some(disk.room()?.min(quota.saturating_sub(usage))))
        })
        .await
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Cid>,
        limit: usize,
    ) -> Result<Vec<Cid>, StoreError> {
        self.on_disk(move |disk| disk.list(span, after, limit))
            .await
    }

    fn usage(&self) -> Usage {
        Usage {
            blocks: self.disk.count.load(Ordering::Relaxed),
            bytes: self.disk.bytes.load(Ordering::Relaxed),
            quota: self.disk.options.quota,
        }
    }
}
