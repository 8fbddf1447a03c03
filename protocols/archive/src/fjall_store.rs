//! The stores on disk (H24): one database, two keyspaces for each of them. The small one has
//! what an index knows of an item, the other one the bytes; both are written in one batch.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use guid::{Guid, Span};
use parking_lot::Mutex;
use replicas::engine_error::{check_room, free_on_disk, on_open, on_read, on_write};
use replicas::{ItemId, StoreError, Stored};

use crate::store::{Item, Limits, Range, Room, Row, Store, Usage, key_of, ranges, read_key};

/// The format this program writes. A store with another one is refused, not guessed at.
pub const STORE_FORMAT: u32 = 1;

/// Memory for blocks read from disk: fragments are read seldom.
const CACHE_BYTES: u64 = 4 << 20;

/// Memory for writes of one keyspace that are in the journal only.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// The journal at most, in bytes: the least that fjall allows.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Values of at least so many bytes are kept apart from their keys.
const SEPARATE_FROM: u32 = 512;

/// Length of an index row: version of 8 bytes, size of 4, big-endian, then 16 of the owner's
/// GUID where it is known.
const ROW: usize = 12;

const FORMAT_KEY: &str = "format";

/// Opens or makes the stores of fragments and of manifests in a directory. Blocks on the disk.
pub fn open(
    path: &Path,
    fragments: Limits,
    manifests: Limits,
) -> Result<(FjallStore, FjallStore), StoreError> {
    let not_opened = |error| on_open(path, error);
    let database = Database::builder(path)
        .cache_size(CACHE_BYTES)
        .max_journaling_size(JOURNAL_BYTES)
        .worker_threads(1)
        .open()
        .map_err(not_opened)?;
    let fresh = database.keyspace_count() == 0;
    let meta = database
        .keyspace("meta", KeyspaceCreateOptions::default)
        .map_err(not_opened)?;
    check_format(&database, &meta, fresh)?;
    let engine = Arc::new(Engine {
        path: path.to_owned(),
        database,
        written: AtomicU64::new(0),
        synced: Mutex::new(0),
    });
    Ok((
        FjallStore::open(&engine, "fragments", fragments)?,
        FjallStore::open(&engine, "manifests", manifests)?,
    ))
}

fn check_format(database: &Database, meta: &Keyspace, fresh: bool) -> Result<(), StoreError> {
    let format = |found: String| StoreError::Format {
        found,
        known: STORE_FORMAT,
    };
    match meta.get(FORMAT_KEY).map_err(on_read)? {
        Some(found) if *found == STORE_FORMAT.to_be_bytes() => Ok(()),
        Some(found) => Err(match <[u8; 4]>::try_from(&*found) {
            Ok(number) => format(u32::from_be_bytes(number).to_string()),
            Err(_) => format("unreadable".into()),
        }),
        // Killed after the first keyspace was made: nothing else can be there yet.
        None if fresh || !database.keyspace_exists("fragments") => {
            meta.insert(FORMAT_KEY, STORE_FORMAT.to_be_bytes())
                .map_err(on_write)?;
            database.persist(PersistMode::SyncAll).map_err(on_write)
        }
        None => Err(format("none".into())),
    }
}

/// What the two stores of a database share.
struct Engine {
    path: PathBuf,
    database: Database,
    /// Counts writes; those up to `synced` are on disk. One sync serves all the writers that
    /// wait for it.
    written: AtomicU64,
    synced: Mutex<u64>,
}

impl Engine {
    /// Returns when every write made before the call is on disk.
    fn sync(&self) -> Result<(), StoreError> {
        let mine = self.written.load(Ordering::Acquire);
        let mut synced = self.synced.lock();
        if *synced >= mine {
            return Ok(());
        }
        let all = self.written.load(Ordering::Acquire);
        self.database
            .persist(PersistMode::SyncAll)
            .map_err(on_write)?;
        *synced = all;
        Ok(())
    }

    /// Bytes of the disk that may still be written.
    fn free(&self) -> Result<u64, StoreError> {
        free_on_disk(&self.path)
    }
}

/// Items on disk: what `put` acknowledged is there after a crash.
#[derive(Clone)]
pub struct FjallStore {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<Engine>,
    rows: Keyspace,
    items: Keyspace,
    /// Held while an item is looked at and written, so that nothing comes between.
    room: Mutex<Room>,
}

impl FjallStore {
    fn open(engine: &Arc<Engine>, name: &str, limits: Limits) -> Result<FjallStore, StoreError> {
        let not_opened = |error| on_open(&engine.path, error);
        let small = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let items = engine
            .database
            .keyspace(name, || {
                let apart = KvSeparationOptions::default()
                    .separation_threshold(SEPARATE_FROM)
                    .compression(fjall::CompressionType::None);
                small().with_kv_separation(Some(apart))
            })
            .map_err(not_opened)?;
        let rows = engine
            .database
            .keyspace(&format!("{name}_index"), small)
            .map_err(not_opened)?;
        let mut room = Room::new(limits);
        for row in rows.iter() {
            let (key, value) = row.into_inner().map_err(on_read)?;
            match read_row(&value) {
                Some(row) => room.add(row),
                // One bad row costs one item, which the sweep makes anew.
                None => {
                    tracing::warn!("a row of the archive's index is corrupted, it is dropped");
                    rows.remove(&*key).map_err(on_write)?;
                    items.remove(&*key).map_err(on_write)?;
                }
            }
        }
        Ok(FjallStore {
            inner: Arc::new(Inner {
                engine: Arc::clone(engine),
                rows,
                items,
                room: Mutex::new(room),
            }),
        })
    }

    /// Runs on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|_| StoreError::Closed)?
    }
}

impl Inner {
    fn row(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let row = self.rows.get(key).map_err(on_read)?;
        let corrupt = || StoreError::Corrupt("a row of the index".into());
        row.map(|row| read_row(&row).ok_or_else(corrupt))
            .transpose()
    }

    fn get(&self, key: &[u8]) -> Result<Option<(u64, Bytes)>, StoreError> {
        let Some(row) = self.row(key)? else {
            return Ok(None);
        };
        let bytes = self.items.get(key).map_err(on_read)?;
        match bytes.map(Bytes::from) {
            Some(bytes) if bytes.len() == row.size as usize => Ok(Some((row.version, bytes))),
            Some(_) => Err(StoreError::Corrupt("it has another length".into())),
            None => Err(StoreError::Corrupt("its bytes are missing".into())),
        }
    }

    fn put(&self, item: &Item) -> Result<Stored, StoreError> {
        let stored = self.write(item)?;
        // Also when nothing changed: the writer of the same may not have come to its sync yet.
        self.engine.sync()?;
        Ok(stored)
    }

    fn write(&self, item: &Item) -> Result<Stored, StoreError> {
        let (key, row) = (key_of(item.place, &item.id), Row::of(item));
        let mut room = self.room.lock();
        let old = match self.row(&key) {
            // What is corrupted gives way.
            Err(StoreError::Corrupt(_)) => None,
            other => other?,
        };
        if let Some(old) = old.filter(|old| old.version >= row.version) {
            let version = old.version;
            return Ok(Stored {
                version,
                new: false,
            });
        }
        room.check(old, row)?;
        let keep_free = room.keep_free();
        if self.engine.free()? < keep_free.saturating_add(u64::from(row.size)) {
            return Err(StoreError::Full(format!(
                "fewer than {keep_free} bytes would stay free on the disk"
            )));
        }
        let mut batch = self.engine.database.batch();
        batch.insert(&self.rows, &key[..], write_row(row));
        batch.insert(&self.items, &key[..], &item.bytes[..]);
        batch.commit().map_err(on_write)?;
        self.engine.written.fetch_add(1, Ordering::AcqRel);
        old.into_iter().for_each(|old| room.take(old));
        room.add(row);
        Ok(Stored {
            version: row.version,
            new: true,
        })
    }

    fn list(
        &self,
        ranges: Vec<Range>,
        limit: usize,
    ) -> Result<Vec<(Guid, ItemId, u64)>, StoreError> {
        let mut found = Vec::new();
        for (from, last) in ranges {
            for entry in self.rows.range((from, std::ops::Bound::Unbounded)) {
                if found.len() == limit {
                    return Ok(found);
                }
                let (key, row) = entry.into_inner().map_err(on_read)?;
                if key.get(..16).is_none_or(|place| place > &last[..]) {
                    break;
                }
                if let (Some((place, id)), Some(row)) = (read_key(&key), read_row(&row)) {
                    found.push((place, id, row.version));
                }
            }
        }
        Ok(found)
    }

    fn remove(&self, key: &[u8]) -> Result<(), StoreError> {
        let mut room = self.room.lock();
        let old = self.row(key);
        check_room(&self.engine.path)?;
        let mut batch = self.engine.database.batch();
        batch.remove(&self.rows, key);
        batch.remove(&self.items, key);
        batch.commit().map_err(on_write)?;
        if let Ok(Some(old)) = old {
            room.take(old);
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Store for FjallStore {
    async fn get(&self, place: Guid, id: &ItemId) -> Result<Option<(u64, Bytes)>, StoreError> {
        let key = key_of(place, id);
        self.blocking(move |inner| inner.get(&key)).await
    }

    async fn put(&self, item: Item) -> Result<Stored, StoreError> {
        self.blocking(move |inner| inner.put(&item)).await
    }

    async fn version(&self, place: Guid, id: &ItemId) -> Result<Option<u64>, StoreError> {
        let key = key_of(place, id);
        let row = self.blocking(move |inner| inner.row(&key)).await?;
        Ok(row.map(|row| row.version))
    }

    async fn list(
        &self,
        span: Span,
        after: Option<(Guid, ItemId)>,
        limit: usize,
    ) -> Result<Vec<(Guid, ItemId, u64)>, StoreError> {
        let ranges = ranges(span, after.as_ref());
        self.blocking(move |inner| inner.list(ranges, limit)).await
    }

    async fn remove(&self, place: Guid, id: &ItemId) -> Result<(), StoreError> {
        let key = key_of(place, id);
        self.blocking(move |inner| inner.remove(&key)).await
    }

    fn usage(&self) -> Usage {
        self.inner.room.lock().usage()
    }
}

fn write_row(row: Row) -> Vec<u8> {
    let mut bytes = row.version.to_be_bytes().to_vec();
    bytes.extend_from_slice(&row.size.to_be_bytes());
    if let Some(owner) = row.owner {
        bytes.extend_from_slice(&owner.to_bytes());
    }
    bytes
}

fn read_row(row: &[u8]) -> Option<Row> {
    let (fixed, owner) = row.split_first_chunk::<ROW>()?;
    let (version, size) = fixed.split_first_chunk::<8>()?;
    let owner = match owner {
        [] => None,
        owner => Some(Guid::from_bytes(owner.try_into().ok()?)),
    };
    Some(Row {
        version: u64::from_be_bytes(*version),
        size: u32::from_be_bytes(size.try_into().ok()?),
        owner,
    })
}
