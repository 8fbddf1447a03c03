//! Group commit: what many callers put at the same time is synced once (CL10).
//!
//! All writes go through one thread, so nothing comes between judging and writing, and no lock
//! is held over a sync. While it syncs, the next round fills its queue. fjall shows a batch to
//! readers only when it is on disk, so what is found to be there already needs no sync.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use cid::Cid;
use fjall::{OwnedWriteBatch, PersistMode};
use replicas::StoreError;
use replicas::engine_error::{check_room, on_read, on_write};
use tokio::sync::{mpsc, oneshot};

use crate::fjall_store::Disk;
use crate::item::RELEASE_LIFE;
use crate::key::{BlockKey, Key, block_key};
use crate::row::{Row, Verdict, judge};
use crate::store::{SWEEP_STEP, full};
use crate::{Claim, Item, Outcome, Refused};

/// Writes that wait at most; who comes later waits to be let in.
const QUEUE: usize = 1024;

/// Writes of one round at most: what one failure of the disk hits.
const ROUND: usize = 1024;

type Done<T> = oneshot::Sender<T>;

/// Who waits for the end of a round, and what it is told if the round is written.
type Waiting<T, E> = Vec<(Done<Result<T, E>>, Result<T, E>)>;

enum Job {
    Put(Item, Done<Result<Outcome, Refused>>),
    NotePut(Cid, Done<Result<(), StoreError>>),
    Discard(Claim, Done<Result<(), StoreError>>),
    Sweep(Done<Result<usize, StoreError>>),
}

/// The thread that writes. It ends with this, after what it was given.
pub(crate) struct Writer {
    /// None once this is dropped.
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(disk: Arc<Disk>) -> Result<Writer, StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("claims-writer".into())
            .spawn(move || run(&disk, jobs))
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Writer {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    pub(crate) async fn put(&self, item: Item) -> Result<Outcome, Refused> {
        self.ask(|done| Job::Put(item, done)).await?
    }

    pub(crate) async fn note_put(&self, block: Cid) -> Result<(), StoreError> {
        self.ask(|done| Job::NotePut(block, done)).await?
    }

    pub(crate) async fn discard(&self, name: Claim) -> Result<(), StoreError> {
        self.ask(|done| Job::Discard(name, done)).await?
    }

    /// Step by step, so that puts do not wait for all of it.
    pub(crate) async fn sweep(&self) -> Result<usize, StoreError> {
        let mut swept = 0;
        loop {
            let step = self.ask(Job::Sweep).await??;
            swept += step;
            if step < SWEEP_STEP {
                return Ok(swept);
            }
        }
    }

    async fn ask<T>(&self, job: impl FnOnce(Done<T>) -> Job) -> Result<T, StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        let (done, outcome) = oneshot::channel();
        let given = queue.send(job(done)).await;
        given.map_err(|_| StoreError::Closed)?;
        outcome.await.map_err(|_| StoreError::Closed)
    }
}

impl Drop for Writer {
    /// Waits for the last round: whoever opens the directory next finds it free.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the claims has panicked");
        }
    }
}

fn run(disk: &Disk, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::new();
    while jobs.blocking_recv_many(&mut batch, ROUND) > 0 {
        if !disk.room.has_room(batch.len() as u64) {
            // Before the round: it counts on the rows that it has seen. What fails here leaves
            // less room, and no more.
            let swept = disk.sweep_step(disk.clock.now());
            swept
                .inspect_err(|error| tracing::warn!(%error, "no room could be made"))
                .ok();
        }
        let mut round = Round::new(disk);
        for job in batch.drain(..) {
            match job {
                Job::Put(item, done) => round.put(&item, done),
                Job::NotePut(block, done) => round.note_put(&block, done),
                // Those remove rows, which the round would not see.
                Job::Discard(name, done) => {
                    round.commit();
                    round = Round::new(disk);
                    answer(done, disk.discard(&name));
                }
                Job::Sweep(done) => {
                    round.commit();
                    round = Round::new(disk);
                    answer(done, disk.sweep_step(disk.clock.now()));
                }
            }
        }
        round.commit();
    }
}

/// Who asked may have given up.
fn answer<T>(done: Done<T>, outcome: T) {
    let _ = done.send(outcome);
}

/// Puts that are written together.
struct Round<'a> {
    disk: &'a Disk,
    batch: OwnedWriteBatch,
    /// What the batch will have written.
    written: HashMap<Key, Row>,
    /// Rows that will be new.
    added: u64,
    puts: Waiting<Outcome, Refused>,
    notes: Waiting<(), StoreError>,
}

impl<'a> Round<'a> {
    fn new(disk: &'a Disk) -> Round<'a> {
        let batch = disk.database.batch().durability(Some(PersistMode::SyncAll));
        Round {
            disk,
            batch,
            written: HashMap::new(),
            added: 0,
            puts: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn put(&mut self, item: &Item, done: Done<Result<Outcome, Refused>>) {
        let outcome = self.write(item);
        self.puts.push((done, outcome));
    }

    fn write(&mut self, item: &Item) -> Result<Outcome, Refused> {
        let now = self.disk.clock.now();
        item.check_time(now)?;
        let key = Key::of(item.name());
        // One that cannot be read gives way.
        let kept = match self.written.get(&key) {
            Some(row) => Some(Some(*row)),
            None => self.disk.row(&key)?,
        };
        let row = match judge(kept.flatten().as_ref(), item, now) {
            Verdict::Known { version } => {
                return Ok(Outcome {
                    version,
                    new: false,
                });
            }
            Verdict::Keep(row) => row,
        };
        if kept.is_none() {
            self.let_in(now)?;
        }
        if let Some(release) = kept.flatten().and_then(|kept| kept.release) {
            self.batch
                .remove(&self.disk.ends, end_key(release.time, &key));
        }
        if let Some(release) = row.release {
            let end = end_key(release.time, &key);
            let mut swept = self.disk.swept.lock();
            // As where the clock was set back.
            if end < *swept {
                swept.clone_from(&end);
            }
            self.batch.insert(&self.disk.ends, end, []);
        }
        self.batch
            .insert(&self.disk.claims, *key.as_bytes(), row.to_bytes());
        self.written.insert(key, row);
        Ok(Outcome {
            version: row.version(),
            new: true,
        })
    }

    /// Counts a row that was not there, if there is room for it.
    fn let_in(&mut self, now: u64) -> Result<(), StoreError> {
        let room = &self.disk.room;
        if !room.has_room(self.added) {
            room.refused(now);
            return Err(full(room.usage().limit));
        }
        self.added += 1;
        Ok(())
    }

    fn note_put(&mut self, block: &Cid, done: Done<Result<(), StoreError>>) {
        let now = self.disk.clock.now();
        // Once more, as a sweep may have come between.
        let tally = self.disk.tally(&block_key(block), now);
        let outcome = tally.map(|tally| {
            if tally.notes_puts() {
                self.batch
                    .insert(&self.disk.puts, block.to_bytes(), now.to_be_bytes());
            }
        });
        self.notes.push((done, outcome));
    }

    /// Writes all of it and answers everybody.
    fn commit(self) {
        let Round {
            disk, batch, added, ..
        } = self;
        let written = match batch.is_empty() {
            true => Ok(()),
            false => disk.commit(batch),
        };
        match &written {
            Ok(()) => disk.room.add(added),
            Err(StoreError::Full(_)) => disk.room.refused(disk.clock.now()),
            Err(_) => {}
        }
        let failed = written.err();
        tell(self.puts, failed.as_ref());
        tell(self.notes, failed.as_ref());
    }
}

/// Answers all: with what each was to be told or, where nothing was written, with why.
fn tell<T, E: From<StoreError>>(waiting: Waiting<T, E>, failed: Option<&StoreError>) {
    for (done, outcome) in waiting {
        let outcome = match (failed, outcome) {
            (Some(error), Ok(_)) => Err(error.clone().into()),
            (_, outcome) => outcome,
        };
        answer(done, outcome);
    }
}

impl Disk {
    /// Writes a batch, if the disk has room for it.
    fn commit(&self, batch: OwnedWriteBatch) -> Result<(), StoreError> {
        check_room(&self.path)?;
        batch.commit().map_err(on_write)
    }

    fn discard(&self, name: &Claim) -> Result<(), StoreError> {
        let key = Key::of(name);
        let Some(row) = self.row(&key)? else {
            return Ok(());
        };
        let mut batch = self.database.batch();
        batch.remove(&self.claims, *key.as_bytes());
        if let Some(release) = row.and_then(|row| row.release) {
            batch.remove(&self.ends, end_key(release.time, &key));
        }
        self.commit(batch)?;
        self.room.remove(1);
        self.forget_puts(&[key.block()], self.clock.now())
    }

    /// Drops some of what has ended; how many. Need not be synced: what comes back after a crash
    /// has ended all the same.
    fn sweep_step(&self, now: u64) -> Result<usize, StoreError> {
        let Some(last) = now.checked_sub(RELEASE_LIFE) else {
            return Ok(0);
        };
        let mut batch = self.database.batch();
        let (mut steps, mut removed, mut of) = (0, 0, Vec::new());
        let mut at = self.swept.lock().clone();
        let end = [&last.to_be_bytes()[..], &[0xff; Key::LEN]].concat();
        if end < at {
            return Ok(0);
        }
        for entry in self.ends.range(at.clone()..=end).take(SWEEP_STEP) {
            let end = entry.key().map_err(on_read)?;
            steps += 1;
            // What a corrupted release leaves behind leads to another row, or to none.
            if let Some((time, key)) = parse_end(&end)
                && let Some(Some(row)) = self.row(&key)?
                && row.release.is_some_and(|release| release.time == time)
            {
                batch.remove(&self.claims, *key.as_bytes());
                of.push(key.block());
                removed += 1;
            }
            at = end.to_vec();
            batch.remove(&self.ends, end);
        }
        if steps == 0 {
            return Ok(0);
        }
        self.commit(batch)?;
        *self.swept.lock() = at;
        self.room.remove(removed);
        of.dedup();
        self.forget_puts(&of, now)?;
        Ok(steps)
    }

    /// A put is remembered as long as there is a release that it may be later than.
    fn forget_puts(&self, of: &[BlockKey], now: u64) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        for block in of {
            if !self.tally(block, now)?.has_release() {
                batch.remove(&self.puts, crate::key::cid_of(block));
            }
        }
        match batch.is_empty() {
            true => Ok(()),
            false => self.commit(batch),
        }
    }
}

/// Where a release stands among those that end (CL10).
fn end_key(time: u64, key: &Key) -> Vec<u8> {
    [&time.to_be_bytes()[..], key.as_bytes()].concat()
}

fn parse_end(end: &[u8]) -> Option<(u64, Key)> {
    let (time, key) = end.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*time), Key::from_bytes(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Limits, Secret, SystemClock};
    use tempfile::TempDir;

    fn block(number: u8) -> Cid {
        *blocks::Block::of(blocks::RAW, vec![number].into())
            .unwrap()
            .cid()
    }

    /// What waits together is one batch, and so one sync.
    #[test]
    fn puts_that_wait_share_a_sync() {
        let directory = TempDir::new().unwrap();
        let disk = Disk::open(directory.path(), Limits::default(), Arc::new(SystemClock));
        let disk = disk.unwrap();
        let (queue, jobs) = mpsc::channel(QUEUE);
        let mut answers = Vec::new();
        for number in 0..32 {
            let name = Claim::of(block(number), &Secret::random());
            let (done, outcome) = oneshot::channel();
            assert!(queue.try_send(Job::Put(Item::claim(name), done)).is_ok());
            answers.push(outcome);
        }
        drop(queue);
        let before = disk.database.seqno();
        run(&disk, jobs);
        assert_eq!(disk.database.seqno() - before, 1);
        for mut outcome in answers {
            assert!(outcome.try_recv().unwrap().unwrap().new);
        }
        assert_eq!(disk.room.usage().claims, 32);
    }

    /// The later of two in one batch is judged by the earlier.
    #[test]
    fn a_round_sees_what_it_writes() {
        let directory = TempDir::new().unwrap();
        let disk = Disk::open(
            directory.path(),
            Limits { claims: 1 },
            Arc::new(SystemClock),
        );
        let disk = disk.unwrap();
        let secret = Secret::random();
        let name = Claim::of(block(1), &secret);
        let released = Item::release(block(1), &secret, SystemClock.now());
        let mut round = Round::new(&disk);
        for item in [Item::claim(name), released, Item::claim(name)] {
            let (done, _) = oneshot::channel();
            round.put(&item, done);
        }
        let other = Item::claim(Claim::of(block(2), &secret));
        assert!(matches!(
            round.write(&other),
            Err(Refused::Store(StoreError::Full(_)))
        ));
        let outcomes: Vec<_> = round
            .puts
            .iter()
            .map(|(_, put)| put.clone().unwrap())
            .collect();
        let new: Vec<_> = outcomes.iter().map(|outcome| outcome.new).collect();
        assert_eq!(new, [true, true, false]);
        assert_eq!(outcomes[2].version, released.version());
        round.commit();
        assert_eq!(disk.room.usage().claims, 1);
        let row = disk.row(&Key::of(&name)).unwrap().flatten().unwrap();
        assert_eq!(row.version(), released.version());
    }
}
