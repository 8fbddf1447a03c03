//! A store that fails when it is told to, for tests.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use cid::Cid;
use guid::Span;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::store::{Store, StoreError, Usage};
use crate::{Block, MemoryStore};

/// A disk of which a test decides when it is full, what it corrupts, and what it has
/// synced when the power goes.
pub struct FaultyStore {
    /// What survives a crash.
    disk: Arc<MemoryStore>,
    faults: Mutex<Faults>,
    syncing: watch::Sender<Sync>,
}

#[derive(Default)]
struct Faults {
    writes: u64,
    full_at: Option<u64>,
    corrupted: HashMap<Cid, Bytes>,
}

#[derive(Clone, Copy, PartialEq)]
enum Sync {
    Works,
    Hangs,
    Crashed,
}

impl Default for FaultyStore {
    fn default() -> FaultyStore {
        FaultyStore::on(Arc::new(MemoryStore::new()))
    }
}

impl FaultyStore {
    fn on(disk: Arc<MemoryStore>) -> FaultyStore {
        FaultyStore {
            disk,
            faults: Mutex::default(),
            syncing: watch::Sender::new(Sync::Works),
        }
    }

    /// The `n`-th write from now and all behind it find the disk full; the next is 1.
    pub fn full_at_write(&self, n: u64) {
        let mut faults = self.faults.lock();
        faults.full_at = Some(faults.writes + n);
    }

    /// There is room again.
    pub fn make_room(&self) {
        self.faults.lock().full_at = None;
    }

    /// Reading this block gives other bytes from now on, until it is removed.
    pub fn corrupt(&self, cid: &Cid, bytes: Bytes) {
        self.faults.lock().corrupted.insert(*cid, bytes);
    }

    /// Writes are not synced, and so not acknowledged, until [`FaultyStore::resume_syncs`].
    pub fn hold_syncs(&self) {
        self.syncing.send_replace(Sync::Hangs);
    }

    /// What was held is synced.
    pub fn resume_syncs(&self) {
        self.syncing.send_replace(Sync::Works);
    }

    /// The power goes: what was not synced is lost, writes under way fail. What comes
    /// back is the store after the restart.
    pub fn crash(&self) -> FaultyStore {
        self.syncing.send_replace(Sync::Crashed);
        FaultyStore::on(Arc::clone(&self.disk))
    }
}

#[async_trait::async_trait]
impl Store for FaultyStore {
    async fn read(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        if *self.syncing.borrow() == Sync::Crashed {
            return Err(StoreError::Closed);
        }
        if let Some(bytes) = self.faults.lock().corrupted.get(cid) {
            return Ok(Some(bytes.clone()));
        }
        self.disk.read(cid).await
    }

    async fn put(&self, block: Block) -> Result<bool, StoreError> {
        {
            let mut faults = self.faults.lock();
            faults.writes += 1;
            if faults.full_at.is_some_and(|at| faults.writes >= at) {
                return Err(StoreError::Full("no space left on device".into()));
            }
        }
        let mut syncing = self.syncing.subscribe();
        let state = syncing
            .wait_for(|state| *state != Sync::Hangs)
            .await
            .map(|state| *state);
        match state {
            Ok(Sync::Works) => self.disk.put(block).await,
            Ok(Sync::Hangs | Sync::Crashed) | Err(_) => Err(StoreError::Closed),
        }
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.disk.has(cid).await
    }

    async fn remove(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.faults.lock().corrupted.remove(cid);
        self.disk.remove(cid).await
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Cid>,
        limit: usize,
    ) -> Result<Vec<Cid>, StoreError> {
        self.disk.list(span, after, limit).await
    }

    fn usage(&self) -> Usage {
        self.disk.usage()
    }
}
