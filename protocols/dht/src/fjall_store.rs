//! The store on disk.
//!
//! Two keyspaces, always written together in one atomic batch: `dht_index` holds what the
//! ledger knows of each item, `dht_records` the encodings. Only the small index is read
//! when the store opens.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as Memory};

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode,
};
use guid::{Guid, Span};
use parking_lot::Mutex;
use replicas::StoreError;
use replicas::engine_error::{check_room, on_open, on_read, on_write};

use crate::ledger::{Ledger, Limits, Meta, Usage, Verdict};
use crate::store::{Outcome, RecordStore, Refused, SWEEP_STEP};
use crate::{Clock, Item, Record};

/// The format this program writes. A store with another one is refused, not guessed at.
pub const FORMAT: u32 = 1;

/// Memory for blocks read from disk. Records are small and asked for seldom.
const CACHE_BYTES: u64 = 4 << 20;

/// Memory for writes of one keyspace that are in the journal only.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// The journal at most, in bytes: the least that fjall allows.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Length of an index row: version, expiry and hold of 8 bytes, size of 4, big-endian.
const ROW: usize = 28;

const FORMAT_KEY: &str = "format";

/// A store on disk: what `put` acknowledged is there after a crash.
#[derive(Clone)]
pub struct FjallRecords {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    database: Database,
    index: Keyspace,
    records: Keyspace,
    /// Held while judging and writing, so that nothing comes between.
    ledger: Mutex<Ledger>,
    /// Counts writes; those up to `synced` are on disk. One sync serves all the writers
    /// that wait for it.
    written: AtomicU64,
    synced: Mutex<u64>,
}

impl FjallRecords {
    /// Opens or creates the store of the node whose GUID is `own` in a directory of its
    /// own. Blocks on the disk.
    pub fn open(
        path: &Path,
        own: Guid,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<FjallRecords, StoreError> {
        let not_opened = |error| on_open(path, error);
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .open()
            .map_err(not_opened)?;
        let small = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        // Values of a kilobyte and more stay where they were first written.
        let large = || small().with_kv_separation(Some(KvSeparationOptions::default()));
        let meta = database.keyspace("dht_meta", small).map_err(not_opened)?;
        let index = database.keyspace("dht_index", small).map_err(not_opened)?;
        let records = database
            .keyspace("dht_records", large)
            .map_err(not_opened)?;
        check_format(&database, &meta, &index)?;
        let ledger = Mutex::new(load(&index, &records, Ledger::new(own, limits))?);
        let inner = Inner {
            path: path.to_owned(),
            clock,
            database,
            index,
            records,
            ledger,
            written: AtomicU64::new(0),
            synced: Mutex::new(0),
        };
        Ok(FjallRecords {
            inner: Arc::new(inner),
        })
    }

    /// Runs on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|_| StoreError::Closed)
    }
}

fn check_format(database: &Database, meta: &Keyspace, index: &Keyspace) -> Result<(), StoreError> {
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
        None if index.is_empty().map_err(on_read)? => {
            meta.insert(FORMAT_KEY, FORMAT.to_be_bytes())
                .map_err(on_write)?;
            database.persist(PersistMode::SyncAll).map_err(on_write)
        }
        None => Err(format("none".into())),
    }
}

fn load(index: &Keyspace, records: &Keyspace, mut ledger: Ledger) -> Result<Ledger, StoreError> {
    for row in index.iter() {
        let (key, value) = row.into_inner().map_err(on_read)?;
        match (Item::from_bytes(&key), read_row(&value)) {
            (Some(item), Some(meta)) => ledger.set(item, meta),
            // One bad row costs one record, which its replicas still have.
            _ => {
                tracing::warn!("a row of the record index is corrupted, its record is dropped");
                index.remove(&*key).map_err(on_write)?;
                records.remove(&*key).map_err(on_write)?;
            }
        }
    }
    Ok(ledger)
}

impl Inner {
    fn get(&self, item: Item) -> Result<Option<Record>, StoreError> {
        // The lock spans both reads: a sweep between them would look like corruption.
        let ledger = self.ledger.lock();
        let Some(meta) = ledger.live(item, self.clock.now()) else {
            return Ok(None);
        };
        self.read(item, meta).map(Some)
    }

    /// Reads a record and checks it as if it came from the network: the disk may have
    /// changed it.
    fn read(&self, item: Item, meta: Meta) -> Result<Record, StoreError> {
        let corrupt = |why: String| StoreError::Corrupt(format!("record {item}: {why}"));
        let bytes = self.records.get(item.to_bytes()).map_err(on_read)?;
        let bytes = bytes.ok_or_else(|| corrupt("missing".into()))?;
        let record = Record::decode(&bytes).map_err(|error| corrupt(error.to_string()))?;
        if record.item() != item || record.version() != meta.version {
            return Err(corrupt("another record stands in its place".into()));
        }
        Ok(record)
    }

    fn put(&self, record: &Record) -> Result<Outcome, Refused> {
        let outcome = self.write_record(record)?;
        // Also when nothing changed: the writer of the same record may not have come to
        // its sync yet, and this answer too says that the record is on disk.
        self.sync()?;
        Ok(outcome)
    }

    fn write_record(&self, record: &Record) -> Result<Outcome, Refused> {
        let now = self.clock.now();
        record.check_time(now)?;
        let item = record.item();
        let mut ledger = self.ledger.lock();
        let meta = match ledger.judge(now, record) {
            Verdict::Older { version } => {
                return Ok(Outcome {
                    version,
                    new: false,
                });
            }
            Verdict::Tie(meta) => {
                // A kept record that is corrupted gives way.
                let kept = self.read(item, meta).ok();
                if kept.is_some_and(|kept| kept.cmp_force(record) != Ordering::Less) {
                    return Ok(Outcome {
                        version: meta.version,
                        new: false,
                    });
                }
                meta
            }
            Verdict::Keep(meta) => meta,
        };
        if ledger.check_room(item, meta).is_err() {
            self.sweep_step(&mut ledger, now)?;
            ledger.check_room(item, meta)?;
        }
        let mut batch = self.database.batch();
        batch.insert(&self.index, item.to_bytes(), write_row(meta));
        batch.insert(&self.records, item.to_bytes(), &record.encoded()[..]);
        self.commit(batch)?;
        self.written.fetch_add(1, Memory::AcqRel);
        ledger.set(item, meta);
        Ok(Outcome {
            version: meta.version,
            new: true,
        })
    }

    fn discard(&self, item: Item) -> Result<(), StoreError> {
        let mut ledger = self.ledger.lock();
        let mut batch = self.database.batch();
        batch.remove(&self.index, item.to_bytes());
        batch.remove(&self.records, item.to_bytes());
        self.commit(batch)?;
        ledger.remove(item);
        Ok(())
    }

    /// Writes a batch, if the disk has room for it.
    fn commit(&self, batch: OwnedWriteBatch) -> Result<(), StoreError> {
        check_room(&self.path)?;
        batch.commit().map_err(on_write)
    }

    /// Need not be synced: what comes back after a crash is expired all the same.
    fn sweep(&self) -> Result<usize, StoreError> {
        let mut swept = 0;
        loop {
            let step = self.sweep_step(&mut self.ledger.lock(), self.clock.now())?;
            swept += step;
            if step < SWEEP_STEP {
                return Ok(swept);
            }
        }
    }

    fn sweep_step(&self, ledger: &mut Ledger, now: u64) -> Result<usize, StoreError> {
        let expired = ledger.expired(now, SWEEP_STEP);
        if expired.is_empty() {
            return Ok(0);
        }
        let mut batch = self.database.batch();
        for (item, rest) in &expired {
            batch.remove(&self.records, item.to_bytes());
            match rest {
                Some(meta) => batch.insert(&self.index, item.to_bytes(), write_row(*meta)),
                None => batch.remove(&self.index, item.to_bytes()),
            }
        }
        self.commit(batch)?;
        for (item, rest) in &expired {
            match rest {
                Some(meta) => ledger.set(*item, *meta),
                None => ledger.remove(*item),
            }
        }
        Ok(expired.len())
    }

    /// Returns when every write made before the call is on disk.
    fn sync(&self) -> Result<(), StoreError> {
        let mine = self.written.load(Memory::Acquire);
        let mut synced = self.synced.lock();
        if *synced >= mine {
            return Ok(());
        }
        let all = self.written.load(Memory::Acquire);
        self.database
            .persist(PersistMode::SyncAll)
            .map_err(on_write)?;
        *synced = all;
        Ok(())
    }
}

#[async_trait::async_trait]
impl RecordStore for FjallRecords {
    fn now(&self) -> u64 {
        self.inner.clock.now()
    }

    async fn get(&self, item: Item) -> Result<Option<Record>, StoreError> {
        self.blocking(move |inner| inner.get(item)).await?
    }

    async fn put(&self, record: Record) -> Result<Outcome, Refused> {
        self.blocking(move |inner| inner.put(&record)).await?
    }

    async fn version(&self, item: Item) -> Result<Option<u64>, StoreError> {
        let now = self.inner.clock.now();
        let live = self
            .blocking(move |inner| inner.ledger.lock().live(item, now))
            .await?;
        Ok(live.map(|meta| meta.version))
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Item>,
        limit: usize,
    ) -> Result<Vec<(Item, u64)>, StoreError> {
        let now = self.inner.clock.now();
        self.blocking(move |inner| inner.ledger.lock().list(now, span, after, limit))
            .await
    }

    async fn discard(&self, item: Item) -> Result<(), StoreError> {
        self.blocking(move |inner| inner.discard(item)).await?
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.blocking(Inner::sweep).await?
    }

    fn usage(&self) -> Usage {
        self.inner.ledger.lock().usage()
    }
}

fn write_row(meta: Meta) -> [u8; ROW] {
    let mut row = [0; ROW];
    row[..8].copy_from_slice(&meta.version.to_be_bytes());
    row[8..16].copy_from_slice(&meta.expires.to_be_bytes());
    row[16..24].copy_from_slice(&meta.hold.to_be_bytes());
    row[24..].copy_from_slice(&meta.size.to_be_bytes());
    row
}

fn read_row(row: &[u8]) -> Option<Meta> {
    let row: &[u8; ROW] = row.try_into().ok()?;
    let (version, rest) = row.split_first_chunk::<8>()?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let (hold, size) = rest.split_first_chunk::<8>()?;
    Some(Meta {
        version: u64::from_be_bytes(*version),
        expires: u64::from_be_bytes(*expires),
        hold: u64::from_be_bytes(*hold),
        size: u32::from_be_bytes(size.try_into().ok()?),
    })
}
