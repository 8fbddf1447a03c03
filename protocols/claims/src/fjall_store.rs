//! The store on disk (CL10).
//!
//! `claims` holds the rows, `ends` the releases among them by their time, so that a sweep reads
//! no others, and `puts` when blocks were put that were free. What is kept is asked of the disk:
//! there may be millions of claims. One thread writes ([`crate::writer`]).

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cid::Cid;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};
use guid::Span;
use parking_lot::Mutex;
use replicas::StoreError;
use replicas::engine_error::{on_open, on_read, on_write};

use crate::key::{BlockKey, Key, Range, block_key, ranges};
use crate::room::Room;
use crate::row::Row;
use crate::state::{Read, Tally, free_page, list_page, tally};
use crate::writer::Writer;
use crate::{Claim, Clock, FreePage, Item, Limits, Outcome, Refused, State, Store, Usage};

/// The format this program writes. A store with another one is refused, not guessed at.
pub const FORMAT: u32 = 1;

/// Memory for what was read from disk: a block that is put again has its claims looked up.
const CACHE_BYTES: u64 = 8 << 20;

/// Memory for writes of one keyspace that are in the journal only.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// The journal at most, in bytes: the least that fjall allows.
const JOURNAL_BYTES: u64 = 64 << 20;

const FORMAT_KEY: &str = "format";

/// A store on disk: what `put` acknowledged is there after a crash.
pub struct FjallClaims {
    disk: Arc<Disk>,
    writer: Writer,
}

/// What the writer and the readers share.
pub(crate) struct Disk {
    pub(crate) path: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) room: Room,
    pub(crate) database: Database,
    pub(crate) claims: Keyspace,
    pub(crate) ends: Keyspace,
    pub(crate) puts: Keyspace,
    /// Before this key nothing is left in `ends`: what was removed there costs a sweep as much
    /// to pass by as what is kept, until it is compacted.
    pub(crate) swept: Mutex<Vec<u8>>,
}

impl FjallClaims {
    /// Opens or creates the store in a directory of its own. Blocks on the disk, for as long as
    /// reading all rows once takes.
    pub fn open(
        path: &Path,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<FjallClaims, StoreError> {
        let disk = Arc::new(Disk::open(path, limits, clock)?);
        let writer = Writer::start(Arc::clone(&disk))?;
        Ok(FjallClaims { disk, writer })
    }

    /// Runs on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let disk = Arc::clone(&self.disk);
        tokio::task::spawn_blocking(move || work(&disk))
            .await
            .map_err(|_| StoreError::Closed)?
    }
}

impl Disk {
    pub(crate) fn open(
        path: &Path,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Disk, StoreError> {
        let not_opened = |error| on_open(path, error);
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .open()
            .map_err(not_opened)?;
        let fresh = database.keyspace_count() == 0;
        let keyspace = |name| {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
            database.keyspace(name, options).map_err(not_opened)
        };
        let meta = keyspace("meta")?;
        check_format(&database, &meta, fresh)?;
        let mut disk = Disk {
            path: path.to_owned(),
            clock,
            room: Room::new(limits, 0),
            claims: keyspace("claims")?,
            ends: keyspace("ends")?,
            puts: keyspace("puts")?,
            swept: Mutex::default(),
            database,
        };
        // What a killed process wrote can be read again and need not be on disk yet: from here
        // on, what can be read is.
        let synced = disk.database.persist(PersistMode::SyncAll);
        synced.map_err(on_write)?;
        disk.room = Room::new(limits, disk.count()?);
        disk.check_puts()?;
        Ok(disk)
    }

    /// Counts the rows. One that cannot be read costs one claim, which its replicas still have.
    fn count(&self) -> Result<u64, StoreError> {
        let mut count = 0;
        for entry in self.claims.iter() {
            let (key, value) = entry.into_inner().map_err(on_read)?;
            if Key::from_bytes(&key).is_some() && Row::from_bytes(&value).is_some() {
                count += 1;
            } else {
                tracing::warn!("a row of the claims is corrupted, it is dropped");
                self.claims.remove(key).map_err(on_write)?;
            }
        }
        Ok(count)
    }

    /// Drops puts that nothing depends on, which a crash may have left.
    fn check_puts(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        for entry in self.puts.iter() {
            let (key, value) = entry.into_inner().map_err(on_read)?;
            let block = Cid::try_from(&key[..]).ok();
            let block = block.filter(|block| blocks::check_kind(block).is_ok());
            let held = block.map(|block| self.tally(&block_key(&block), now));
            if !held.transpose()?.is_some_and(|tally| tally.has_release()) {
                self.puts.remove(key).map_err(on_write)?;
            } else if time_of(&value).is_none() {
                // Nobody knows when: it was not after now.
                let row = now.to_be_bytes();
                self.puts.insert(key, row).map_err(on_write)?;
            }
        }
        Ok(())
    }

    /// The row of a claim; inside, none where it cannot be read.
    pub(crate) fn row(&self, key: &Key) -> Result<Option<Option<Row>>, StoreError> {
        let value = self.claims.get(key.as_bytes()).map_err(on_read)?;
        Ok(value.map(|value| Row::from_bytes(&value)))
    }

    /// Reads an item and checks it as if it came from the network: the disk may have changed it.
    fn item(&self, name: Claim) -> Result<Option<Item>, StoreError> {
        let corrupt = |why: String| StoreError::Corrupt(format!("claim {name}: {why}"));
        let Some(row) = self.row(&Key::of(&name))? else {
            return Ok(None);
        };
        let row = row.ok_or_else(|| corrupt("it has another length than one".into()))?;
        if !row.is_live(self.clock.now()) {
            return Ok(None);
        }
        let content = row.release.map(|release| release.to_bytes());
        let content = content.as_ref().map_or(&[][..], |content| &content[..]);
        let item = Item::decode(name, content).map_err(|error| corrupt(error.to_string()))?;
        Ok(Some(item))
    }

    pub(crate) fn tally(&self, block: &BlockKey, now: u64) -> Result<Tally, StoreError> {
        let rows = self.claims.prefix(block).map(|entry| {
            let value = entry.value().map_err(on_read)?;
            Ok(Row::from_bytes(&value))
        });
        tally(rows, now)
    }

    fn range(&self, (from, to): Range) -> impl Iterator<Item = Read> + '_ {
        let bytes = |bound: Bound<Key>| bound.map(|key| *key.as_bytes());
        let rows = self.claims.range((bytes(from), bytes(to)));
        rows.filter_map(|entry| {
            let (key, value) = match entry.into_inner().map_err(on_read) {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            Some(Ok((Key::from_bytes(&key)?, Row::from_bytes(&value))))
        })
    }

    fn state(&self, block: &Cid) -> Result<State, StoreError> {
        // The claims first: a put that comes between is seen, and only makes the block be free
        // for less long.
        let tally = self.tally(&block_key(block), self.clock.now())?;
        Ok(tally.state(self.put_time(block)?))
    }

    fn put_time(&self, block: &Cid) -> Result<Option<u64>, StoreError> {
        let value = self.puts.get(block.to_bytes()).map_err(on_read)?;
        // Where it cannot be read it may have been now.
        let time = |value: Slice| time_of(&value).unwrap_or_else(|| self.clock.now());
        Ok(value.map(time))
    }
}

fn time_of(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

fn check_format(database: &Database, meta: &Keyspace, fresh: bool) -> Result<(), StoreError> {
    let format = |found: String| StoreError::Format {
        found,
        known: FORMAT,
    };
    match meta.get(FORMAT_KEY).map_err(on_read)? {
        Some(found) if *found == FORMAT.to_be_bytes() => Ok(()),
        Some(found) => Err(match <[u8; 4]>::try_from(&*found) {
            Ok(number) => format(u32::from_be_bytes(number).to_string()),
            Err(_) => format("unreadable".into()),
        }),
        // Killed after the first keyspace was made: nothing else can be there yet.
        None if fresh || !database.keyspace_exists("claims") => {
            meta.insert(FORMAT_KEY, FORMAT.to_be_bytes())
                .map_err(on_write)?;
            database.persist(PersistMode::SyncAll).map_err(on_write)
        }
        None => Err(format("none".into())),
    }
}

#[async_trait::async_trait]
impl Store for FjallClaims {
    fn now(&self) -> u64 {
        self.disk.clock.now()
    }

    async fn put(&self, item: Item) -> Result<Outcome, Refused> {
        self.writer.put(item).await
    }

    async fn get(&self, name: Claim) -> Result<Option<Item>, StoreError> {
        self.blocking(move |disk| disk.item(name)).await
    }

    async fn version(&self, name: Claim) -> Result<Option<u64>, StoreError> {
        let row = self.blocking(move |disk| disk.row(&Key::of(&name)));
        let row = row.await?.flatten();
        let now = self.disk.clock.now();
        Ok(row.filter(|row| row.is_live(now)).map(|row| row.version()))
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Claim>,
        limit: usize,
    ) -> Result<Vec<(Claim, u64)>, StoreError> {
        self.blocking(move |disk| {
            let rows = ranges(span, after.as_ref()).into_iter();
            let rows = rows.flat_map(|range| disk.range(range));
            list_page(rows, limit, disk.clock.now())
        })
        .await
    }

    async fn state(&self, block: &Cid) -> Result<State, StoreError> {
        let block = *block;
        self.blocking(move |disk| disk.state(&block)).await
    }

    async fn put_again(&self, block: &Cid) -> Result<(), StoreError> {
        let block = *block;
        let noted = self.blocking(move |disk| {
            let tally = disk.tally(&block_key(&block), disk.clock.now())?;
            Ok(tally.notes_puts())
        });
        match noted.await? {
            true => self.writer.note_put(block).await,
            false => Ok(()),
        }
    }

    async fn free(&self, after: Option<Cid>, limit: usize) -> Result<FreePage, StoreError> {
        self.blocking(move |disk| {
            let from = after.map_or(Bound::Unbounded, |after| {
                Bound::Excluded(Key::last_of(&after))
            });
            let rows = disk.range((from, Bound::Unbounded));
            let put = |block: &Cid| disk.put_time(block);
            free_page(rows, limit, disk.clock.now(), put)
        })
        .await
    }

    async fn discard(&self, name: Claim) -> Result<(), StoreError> {
        self.writer.discard(name).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.writer.sweep().await
    }

    fn usage(&self) -> Usage {
        self.disk.room.usage()
    }

    fn is_full(&self) -> bool {
        self.disk.room.is_full(self.disk.clock.now())
    }
}
