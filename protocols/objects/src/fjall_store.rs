//! The store on disk (J16).
//!
//! Two keyspaces, always written together in one atomic batch: `objects_index` holds what
//! the index knows of each object, `objects_heads` the encodings. Only the small index is
//! read when the store opens. `objects_written` has what this node wrote last of each of its
//! own objects (J12): a number of 8 bytes, big-endian, and a CID.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cid::Cid;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use guid::{Guid, Span};
use parking_lot::Mutex;
use replicas::StoreError;
use replicas::engine_error::{check_room, on_open, on_read, on_write};

use crate::Heads;
use crate::index::{Index, Limits, Meta, Usage};
use crate::record::is_vguid;
use crate::store::{HeadStore, Outcome, Refused, meta_of};

/// The format this program writes. A store with another one is refused, not guessed at.
pub const STORE_FORMAT: u32 = 1;

/// Memory for blocks read from disk. Heads are small.
const CACHE_BYTES: u64 = 4 << 20;

/// Memory for writes of one keyspace that are in the journal only.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// The journal at most, in bytes: the least that fjall allows.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Length of an index row: version of 8 bytes, author of 16, size of 4, big-endian.
const ROW: usize = 28;

const FORMAT_KEY: &str = "format";

/// A store on disk: what `put` acknowledged is there after a crash.
#[derive(Clone)]
pub struct FjallHeads {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    database: Database,
    rows: Keyspace,
    heads: Keyspace,
    own: Keyspace,
    /// Held while joining and writing, so that nothing comes between.
    index: Mutex<Index>,
    /// Counts writes; those up to `synced` are on disk. One sync serves all the writers
    /// that wait for it.
    written: AtomicU64,
    synced: Mutex<u64>,
}

impl FjallHeads {
    /// Opens or creates the store of the node whose GUID is `own` in a directory of its
    /// own. Blocks on the disk.
    pub fn open(path: &Path, own: Guid, limits: Limits) -> Result<FjallHeads, StoreError> {
        let not_opened = |error| on_open(path, error);
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .open()
            .map_err(not_opened)?;
        let small = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let open = |name: &str| database.keyspace(name, small).map_err(not_opened);
        let (meta, rows, heads, written) = (
            open("objects_meta")?,
            open("objects_index")?,
            open("objects_heads")?,
            open("objects_written")?,
        );
        check_format(&database, &meta, &rows)?;
        let index = Mutex::new(load(&rows, &heads, Index::new(own, limits))?);
        let inner = Inner {
            path: path.to_owned(),
            database,
            rows,
            heads,
            own: written,
            index,
            written: AtomicU64::new(0),
            synced: Mutex::new(0),
        };
        Ok(FjallHeads {
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

fn check_format(database: &Database, meta: &Keyspace, rows: &Keyspace) -> Result<(), StoreError> {
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
        None if rows.is_empty().map_err(on_read)? => {
            meta.insert(FORMAT_KEY, STORE_FORMAT.to_be_bytes())
                .map_err(on_write)?;
            database.persist(PersistMode::SyncAll).map_err(on_write)
        }
        None => Err(format("none".into())),
    }
}

fn load(rows: &Keyspace, heads: &Keyspace, mut index: Index) -> Result<Index, StoreError> {
    for row in rows.iter() {
        let (key, value) = row.into_inner().map_err(on_read)?;
        let aguid = <[u8; 16]>::try_from(&*key).ok().map(Guid::from_bytes);
        match (aguid, read_row(&value)) {
            (Some(aguid), Some(meta)) => index.set(aguid, meta),
            // One bad row costs one object's heads, which its replicas still have.
            _ => {
                tracing::warn!("a row of the object index is corrupted, its heads are dropped");
                rows.remove(&*key).map_err(on_write)?;
                heads.remove(&*key).map_err(on_write)?;
            }
        }
    }
    Ok(index)
}

impl Inner {
    fn get(&self, aguid: Guid) -> Result<Option<Heads>, StoreError> {
        let index = self.index.lock();
        let Some(meta) = index.get(aguid) else {
            return Ok(None);
        };
        self.read(aguid, meta).map(Some)
    }

    /// Reads heads and checks them as if they came from the network: the disk may have
    /// changed them.
    fn read(&self, aguid: Guid, meta: Meta) -> Result<Heads, StoreError> {
        let corrupt = |why: String| StoreError::Corrupt(format!("heads of {aguid}: {why}"));
        let bytes = self.heads.get(aguid.to_bytes()).map_err(on_read)?;
        let bytes = bytes.ok_or_else(|| corrupt("missing".into()))?;
        let heads = Heads::decode(aguid, &bytes).map_err(|error| corrupt(error.to_string()))?;
        if heads.version() != meta.version {
            return Err(corrupt("others stand in their place".into()));
        }
        Ok(heads)
    }

    fn put(&self, heads: Heads) -> Result<Outcome, Refused> {
        let outcome = self.join(heads)?;
        // Also when nothing changed: the writer of the same heads may not have come to its
        // sync yet, and this answer too says that they are on disk.
        self.sync()?;
        Ok(outcome)
    }

    fn join(&self, heads: Heads) -> Result<Outcome, Refused> {
        let aguid = heads.aguid();
        let mut index = self.index.lock();
        let kept = match index.get(aguid) {
            Some(meta) if meta.version > heads.version() && meta.version >> 24 > heads.seq() => {
                return Ok(Outcome {
                    version: meta.version,
                    new: false,
                });
            }
            Some(meta) => match self.read(aguid, meta) {
                Ok(kept) => Some(kept),
                // What is corrupted gives way; what cannot be read just now does not.
                Err(StoreError::Corrupt(_)) => None,
                Err(error) => return Err(Refused::Store(error)),
            },
            None => None,
        };
        let joined = match kept.clone() {
            Some(kept) => kept.join(heads),
            None => heads,
        };
        let version = joined.version();
        if kept.as_ref() == Some(&joined) {
            return Ok(Outcome {
                version,
                new: false,
            });
        }
        let encoded = joined.encode();
        let meta = meta_of(&joined, &encoded);
        index.check_room(aguid, meta)?;
        let mut batch = self.database.batch();
        batch.insert(&self.rows, aguid.to_bytes(), write_row(meta));
        batch.insert(&self.heads, aguid.to_bytes(), &encoded[..]);
        self.commit(batch)?;
        self.written.fetch_add(1, Ordering::AcqRel);
        index.set(aguid, meta);
        Ok(Outcome { version, new: true })
    }

    /// What does not read as it was written was not noted.
    fn written(&self, aguid: Guid) -> Result<Option<(u64, Cid)>, StoreError> {
        let noted = self.own.get(aguid.to_bytes()).map_err(on_read)?;
        let noted = noted.as_deref().and_then(<[u8]>::split_first_chunk);
        Ok(noted.and_then(|(seq, vguid)| {
            let vguid = Cid::try_from(vguid).ok().filter(is_vguid)?;
            Some((u64::from_be_bytes(*seq), vguid))
        }))
    }

    fn note_written(&self, aguid: Guid, seq: u64, vguid: Cid) -> Result<(), StoreError> {
        let noted = [&seq.to_be_bytes()[..], &vguid.to_bytes()].concat();
        self.own.insert(aguid.to_bytes(), noted).map_err(on_write)?;
        self.written.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn discard(&self, aguid: Guid) -> Result<(), StoreError> {
        let mut index = self.index.lock();
        let mut batch = self.database.batch();
        batch.remove(&self.rows, aguid.to_bytes());
        batch.remove(&self.heads, aguid.to_bytes());
        self.commit(batch)?;
        index.remove(aguid);
        Ok(())
    }

    /// Writes a batch, if the disk has room for it.
    fn commit(&self, batch: OwnedWriteBatch) -> Result<(), StoreError> {
        check_room(&self.path)?;
        batch.commit().map_err(on_write)
    }

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
}

#[async_trait::async_trait]
impl HeadStore for FjallHeads {
    async fn get(&self, aguid: Guid) -> Result<Option<Heads>, StoreError> {
        self.blocking(move |inner| inner.get(aguid)).await?
    }

    async fn put(&self, heads: Heads) -> Result<Outcome, Refused> {
        self.blocking(move |inner| inner.put(heads)).await?
    }

    async fn version(&self, aguid: Guid) -> Result<Option<u64>, StoreError> {
        let known = self
            .blocking(move |inner| inner.index.lock().get(aguid))
            .await?;
        Ok(known.map(|meta| meta.version))
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Guid>,
        limit: usize,
    ) -> Result<Vec<(Guid, u64)>, StoreError> {
        self.blocking(move |inner| inner.index.lock().list(span, after, limit))
            .await
    }

    async fn written(&self, aguid: Guid) -> Result<Option<(u64, Cid)>, StoreError> {
        self.blocking(move |inner| inner.written(aguid)).await?
    }

    async fn note_written(&self, aguid: Guid, seq: u64, vguid: Cid) -> Result<(), StoreError> {
        self.blocking(move |inner| inner.note_written(aguid, seq, vguid))
            .await?
    }

    async fn discard(&self, aguid: Guid) -> Result<(), StoreError> {
        self.blocking(move |inner| inner.discard(aguid)).await?
    }

    fn usage(&self) -> Usage {
        self.inner.index.lock().usage()
    }
}

fn write_row(meta: Meta) -> [u8; ROW] {
    let mut row = [0; ROW];
    row[..8].copy_from_slice(&meta.version.to_be_bytes());
    row[8..24].copy_from_slice(&meta.author.to_bytes());
    row[24..].copy_from_slice(&meta.size.to_be_bytes());
    row
}

fn read_row(row: &[u8]) -> Option<Meta> {
    let row: &[u8; ROW] = row.try_into().ok()?;
    let (version, rest) = row.split_first_chunk::<8>()?;
    let (author, size) = rest.split_first_chunk::<16>()?;
    Some(Meta {
        version: u64::from_be_bytes(*version),
        author: Guid::from_bytes(*author),
        size: u32::from_be_bytes(size.try_into().ok()?),
    })
}
