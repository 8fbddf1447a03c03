//! Group commit: what many callers put at the same time is synced once (B4).
//!
//! fjall has two ways in. The journal is quick for little, but everything in it is written
//! a second time when its table is. A bulk ingestion writes tables and blob files at once,
//! syncs each of them, then the version that lists them: a block that reads can see is
//! durable either way. Two writers take turns, so that one fills its files while the other
//! waits for the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ::fjall::PersistMode;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, oneshot};

use super::Disk;
use crate::store::StoreError;
use replicas::engine_error::{on_read, on_write};

/// Bytes a batch has at most. Larger ones would not write faster, and make the first of
/// them wait longer.
const MAX_BATCH: usize = 16 << 20;

/// Batches of at least so many bytes are ingested, smaller ones journalled.
const INGEST_FROM: usize = 1 << 20;

/// How long a batch that is ingested waits for the next block. Syncing its files takes
/// several times as long, whether they are full or not.
const LINGER: Duration = Duration::from_millis(3);

/// Threads that write.
const WRITERS: usize = 2;

/// A block to be written.
pub(super) struct Job {
    pub(super) key: Vec<u8>,
    pub(super) bytes: Bytes,
    pub(super) done: oneshot::Sender<Result<bool, StoreError>>,
    /// Its place among what waits, and the block's turn: until it is written, also when
    /// its caller has given up.
    pub(super) _held: (OwnedSemaphorePermit, OwnedMutexGuard<()>),
}

/// The threads that write. They end with the store, after what they were given.
pub(super) struct Writers {
    /// What waits in it is bounded by the store's budget.
    queue: Sender<Job>,
}

impl Writers {
    pub(super) fn start(disk: &Arc<Disk>) -> Result<Writers, StoreError> {
        let (queue, jobs) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..WRITERS {
            let (disk, jobs) = (Arc::clone(disk), Arc::clone(&jobs));
            std::thread::Builder::new()
                .name(format!("blocks-writer-{number}"))
                .spawn(move || write(&disk, &jobs))
                .map_err(|error| StoreError::Failed(error.to_string()))?;
        }
        Ok(Writers { queue })
    }

    pub(super) fn give(&self, job: Job) -> Result<(), StoreError> {
        self.queue.send(job).map_err(|_| StoreError::Closed)
    }
}

fn write(disk: &Disk, jobs: &Mutex<Receiver<Job>>) {
    // The lock is let go before the batch is written: the other writer fills the next one.
    while let Some(batch) = collect(&jobs.lock()) {
        commit(disk, batch);
    }
}

/// The next batch; `None` when the store is closed and nothing is left.
fn collect(jobs: &Receiver<Job>) -> Option<Vec<Job>> {
    let first = jobs.recv().ok()?;
    let mut size = first.bytes.len();
    let mut batch = vec![first];
    while size < MAX_BATCH {
        let next = match size >= INGEST_FROM {
            true => jobs.recv_timeout(LINGER).ok(),
            false => jobs.try_recv().ok(),
        };
        let Some(next) = next else { break };
        size += next.bytes.len();
        batch.push(next);
    }
    Some(batch)
}

/// Writes a batch and answers each of its callers.
fn commit(disk: &Disk, batch: Vec<Job>) {
    let mut room = disk.room();
    let mut accepted = Vec::with_capacity(batch.len());
    let mut size = 0;
    for job in batch {
        match admit(disk, &job, &mut room) {
            Ok(true) => {
                size += job.bytes.len();
                accepted.push(job);
            }
            outcome => answer(job.done, outcome),
        }
    }
    if accepted.is_empty() {
        return;
    }
    accepted.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let written = match size >= INGEST_FROM {
        true => ingest(disk, &accepted),
        false => journal(disk, &accepted),
    };
    let outcome = written.map_err(on_write);
    if outcome.is_err() {
        disk.count
            .fetch_sub(accepted.len() as u64, Ordering::Relaxed);
        disk.bytes.fetch_sub(size as u64, Ordering::Relaxed);
    }
    for job in accepted {
        answer(job.done, outcome.clone().map(|()| true));
    }
}

/// Whether a block is new and there is room; if so it counts as kept.
fn admit(disk: &Disk, job: &Job, room: &mut Result<u64, StoreError>) -> Result<bool, StoreError> {
    // What is there is durable: it became visible after it was synced.
    if disk.blocks.contains_key(&job.key).map_err(on_read)? {
        return Ok(false);
    }
    let size = job.bytes.len() as u64;
    let room = room.as_mut().map_err(|error| error.clone())?;
    if *room < size {
        return Err(StoreError::Full(format!(
            "fewer than {} bytes would stay free on the disk",
            disk.options.keep_free
        )));
    }
    let before = disk.bytes.fetch_add(size, Ordering::Relaxed);
    if let Some(quota) = disk.options.quota
        && before + size > quota
    {
        disk.bytes.fetch_sub(size, Ordering::Relaxed);
        return Err(StoreError::Full(format!("its budget is {quota} bytes")));
    }
    *room -= size;
    disk.count.fetch_add(1, Ordering::Relaxed);
    Ok(true)
}

fn ingest(disk: &Disk, sorted: &[Job]) -> ::fjall::Result<()> {
    let mut ingestion = disk.blocks.start_ingestion()?;
    for job in sorted {
        ingestion.write(job.key.as_slice(), job.bytes.clone())?;
    }
    ingestion.finish()
}

fn journal(disk: &Disk, sorted: &[Job]) -> ::fjall::Result<()> {
    let mut batch = disk.database.batch().durability(Some(PersistMode::SyncAll));
    for job in sorted {
        batch.insert(&disk.blocks, job.key.as_slice(), job.bytes.clone());
    }
    batch.commit()
}

fn answer(done: oneshot::Sender<Result<bool, StoreError>>, outcome: Result<bool, StoreError>) {
    // A caller that gave up does not need to know.
    let _ = done.send(outcome);
}
