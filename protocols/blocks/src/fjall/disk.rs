//! What a [`FjallStore`](super::FjallStore) does on the threads that may block.

use super::*;

/// Values of at least so many bytes are kept apart from their keys. Everything but the
/// smallest blocks is.
const SEPARATE_FROM: u32 = 512;

/// The memory that small blocks take before they are written to their table.
const MAX_MEMTABLE: u64 = 8 << 20;

/// The journal only holds small blocks: the least that fjall allows.
const MAX_JOURNAL: u64 = 64 << 20;

/// Files fjall keeps open at a time.
const MAX_FILES: usize = 256;

impl Disk {
    pub(super) fn open(path: PathBuf, options: FjallOptions) -> Result<Disk, StoreError> {
        let database = Database::builder(&path)
            .cache_size(options.cache)
            .max_cached_files(Some(MAX_FILES))
            .max_journaling_size(MAX_JOURNAL)
            .worker_threads(2)
            .open()
            .map_err(|error| on_open(&path, error))?;
        let failed = |error| on_open(&path, error);
        let fresh = database.keyspace_count() == 0;
        let meta = database
            .keyspace("meta", KeyspaceCreateOptions::default)
            .map_err(failed)?;
        check_format(&database, &meta, fresh).map_err(|error| match error {
            FormatError::Store(error) => on_open(&path, error),
            FormatError::Unknown(found) => StoreError::Format {
                found,
                known: FORMAT,
            },
        })?;
        let blocks = database
            .keyspace("blocks", || {
                let apart = KvSeparationOptions::default()
                    .separation_threshold(SEPARATE_FROM)
                    .compression(::fjall::CompressionType::None);
                KeyspaceCreateOptions::default()
                    .max_memtable_size(MAX_MEMTABLE)
                    .with_kv_separation(Some(apart))
            })
            .map_err(failed)?;
        let (mut count, mut bytes) = (0, 0);
        for entry in blocks.iter() {
            count += 1;
            bytes += u64::from(entry.size().map_err(failed)?);
        }
        Ok(Disk {
            count: AtomicU64::new(count),
            bytes: AtomicU64::new(bytes),
            path,
            database,
            blocks,
            options,
        })
    }

    pub(super) fn read(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.blocks.get(key).map_err(on_read)?;
        Ok(value.map(Bytes::from))
    }

    pub(super) fn has(&self, key: &[u8]) -> Result<bool, StoreError> {
        self.blocks.contains_key(key).map_err(on_read)
    }

    pub(super) fn size(&self, key: &[u8]) -> Result<Option<u64>, StoreError> {
        let size = self.blocks.size_of(key).map_err(on_read)?;
        Ok(size.map(u64::from))
    }

    /// Removes what is kept of different keys, with one sync; how many blocks of how many
    /// bytes that were.
    pub(super) fn remove(&self, keys: &[Vec<u8>]) -> Result<(u64, u64), StoreError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        let (mut count, mut bytes) = (0, 0);
        for key in keys {
            if let Some(size) = self.size(key)? {
                batch.remove(&self.blocks, key.as_slice());
                (count, bytes) = (count + 1, bytes + size);
            }
        }
        if count > 0 {
            replicas::engine_error::check_room(&self.path)?;
            batch.commit().map_err(on_write)?;
            self.count.fetch_sub(count, Ordering::Relaxed);
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        Ok((count, bytes))
    }

    pub(super) fn list(
        &self,
        span: Span,
        after: Option<Cid>,
        limit: usize,
    ) -> Result<Vec<Cid>, StoreError> {
        use std::ops::Bound;

        let mut cids = Vec::new();
        for (from, open, last) in ranges(span, after.as_ref()) {
            let from = match open {
                true => Bound::Excluded(from),
                false => Bound::Included(from),
            };
            for entry in self.blocks.range((from, Bound::Unbounded)) {
                if cids.len() == limit {
                    return Ok(cids);
                }
                let key = entry.key().map_err(on_read)?;
                if key.get(..GUID_BYTES).is_none_or(|guid| guid > &last[..]) {
                    break;
                }
                cids.extend(cid_of_key(&key));
            }
        }
        Ok(cids)
    }

    /// Bytes of blocks that may still be written, as far as quota and disk go (B7).
    pub(super) fn room(&self) -> Result<u64, StoreError> {
        Ok(free_on_disk(&self.path)?.saturating_sub(self.options.keep_free))
    }
}

enum FormatError {
    Store(::fjall::Error),
    Unknown(String),
}

impl From<::fjall::Error> for FormatError {
    fn from(error: ::fjall::Error) -> FormatError {
        FormatError::Store(error)
    }
}

/// A fresh store gets its format's number, any other has to have it (B5).
fn check_format(database: &Database, meta: &Keyspace, fresh: bool) -> Result<(), FormatError> {
    match meta.get("format")? {
        Some(found) if found[..] == FORMAT.to_be_bytes() => Ok(()),
        Some(found) => Err(FormatError::Unknown(match found[..].try_into() {
            Ok(bytes) => u32::from_be_bytes(bytes).to_string(),
            Err(_) => "unknown".into(),
        })),
        // Killed after the keyspace was made and before its first record: nothing else
        // can be there yet.
        None if fresh || !database.keyspace_exists("blocks") => {
            meta.insert("format", FORMAT.to_be_bytes())?;
            database.persist(PersistMode::SyncAll)?;
            Ok(())
        }
        None => Err(FormatError::Unknown("none".into())),
    }
}
