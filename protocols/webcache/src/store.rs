//! What is kept on disk (Q23, Q24).

use std::{
    fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use guid::Guid;
use http::{HeaderMap, header};
use http_cache_semantics::CachePolicy;
use lru::LruCache;
use parking_lot::Mutex;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter, sync};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use webcache_core::object_id;

use crate::file::BodyFile;

/// What an object takes beside its body: head, names and an inode.
const OVERHEAD: u64 = 4096;

/// No object may take more than this part of the room.
const LARGEST: u64 = 4;

/// What is left free of the disk, whatever room there is said to be.
const DISK_RESERVE: u64 = 64 * 1024 * 1024;

/// Objects that the store reckons with: as many of 64 KiB as 10 GiB hold.
const EXPECTED: usize = 160 * 1024;

/// URLs of which it is remembered what their answers vary with.
const MAX_VARYING: NonZeroUsize = NonZeroUsize::new(64 * 1024).expect("it is not 0");

/// Most fields that an answer may vary with: more is nobody's intention.
const MAX_VARY: usize = 16;

/// A store cannot be opened.
#[derive(Debug, Error)]
#[error("the web cache's folder {}: {source}", path.display())]
pub struct StoreError {
    path: PathBuf,
    source: io::Error,
}

/// An answer in the store.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) meta: Meta,
    pub(crate) file: Arc<BodyFile>,
}

/// What is known of an answer, on disk beside its body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) url: String,
    pub(crate) status: u16,
    pub(crate) size: u64,
    /// Names of request fields that it varies with, in lower case.
    pub(crate) vary: Vec<String>,
    /// `objectId` of it, in hexadecimal.
    pub(crate) object: String,
    /// Seconds after which it may not even be given when the origin fails, and while it is
    /// asked again (RFC 5861).
    pub(crate) stale_if_error: u64,
    pub(crate) stale_while_revalidate: u64,
    /// Whether it must never be given when it is stale.
    pub(crate) strict: bool,
    pub(crate) policy: CachePolicy,
}

/// One object of the store, as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What was asked for.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of its body.
    pub size: u64,
    /// Seconds for which it is still fresh.
    pub fresh_seconds: u64,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Guid, Arc<Stored>> for Weight {
    fn weight(&self, _: &Guid, stored: &Arc<Stored>) -> u64 {
        stored.meta.size + OVERHEAD
    }
}

/// Answers on disk, with room for so many bytes. When it is full, what was asked for once makes
/// room before what was asked for again (S3-FIFO, by the crate `quick_cache`).
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    room: u64,
    index: sync::Cache<Guid, Arc<Stored>, Weight>,
    varying: Mutex<LruCache<Guid, Vec<String>>>,
    closing: Arc<AtomicBool>,
    next: AtomicU64,
}

impl Store {
    /// Opens the store in a folder, with what it had when it was last open.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: &Path, room: u64) -> Result<Store, StoreError> {
        let failed = |source| StoreError {
            path: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let options = OptionsBuilder::new()
            // One: each has its share of the room, and large objects must fit in.
            .shards(1)
            .estimated_items_capacity(EXPECTED)
            .weight_capacity(room)
            .build()
            .expect("all that it needs is said");
        let store = Store {
            folder: folder.to_owned(),
            room,
            index: sync::Cache::with_options(
                options,
                Weight,
                DefaultHashBuilder::default(),
                sync::DefaultLifecycle::default(),
            ),
            varying: Mutex::new(LruCache::new(MAX_VARYING)),
            closing: Arc::new(AtomicBool::new(false)),
            next: AtomicU64::new(0),
        };
        let mut bodies = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("body") => bodies.push(path),
                // Half written, or without a body: of no use.
                Some("part") => drop(fs::remove_file(&path)),
                Some("meta") if !path.with_extension("body").exists() => {
                    drop(fs::remove_file(&path));
                }
                _ => {}
            }
        }
        for path in bodies {
            store.reopen(path);
        }
        Ok(store)
    }

    fn reopen(&self, path: PathBuf) {
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number.and_then(|number: u64| number.checked_add(1)) {
            self.next.fetch_max(number, Ordering::Relaxed);
        }
        // Dropped, with its files, unless all of it is right.
        let file = BodyFile::new(path, Arc::clone(&self.closing));
        let Some(meta) = fs::read(file.meta_path())
            .ok()
            .and_then(|meta| serde_json::from_slice::<Meta>(&meta).ok())
        else {
            return;
        };
        let whole = fs::metadata(file.path()).is_ok_and(|found| found.len() == meta.size);
        if whole {
            self.remember(Stored {
                meta,
                file: Arc::new(file),
            });
        }
    }

    /// Room in bytes.
    pub fn room(&self) -> u64 {
        self.room
    }

    /// Bytes taken, what an object takes beside its body included.
    pub fn bytes(&self) -> u64 {
        self.index.weight()
    }

    /// Objects kept.
    pub fn objects(&self) -> usize {
        self.index.len()
    }

    /// The largest body that is kept.
    pub fn largest(&self) -> u64 {
        (self.room / LARGEST).saturating_sub(OVERHEAD)
    }

    /// What is kept, in no order.
    pub fn list(&self) -> Vec<Kept> {
        let now = SystemTime::now();
        let kept = |(_, stored): (Guid, Arc<Stored>)| Kept {
            url: stored.meta.url.clone(),
            status: stored.meta.status,
            size: stored.meta.size,
            fresh_seconds: stored.meta.policy.time_to_live(now).as_secs(),
        };
        self.index.iter().map(kept).collect()
    }

    /// Removes all answers of a URL, and says how many there were.
    pub fn purge(&self, url: &str) -> usize {
        let found = self.index.iter();
        let found: Vec<Guid> = found
            .filter(|(_, stored)| stored.meta.url == url)
            .map(|(object, _)| object)
            .collect();
        for object in &found {
            self.index.remove(object);
        }
        found.len()
    }

    /// Removes everything.
    pub fn clear(&self) {
        self.index.clear();
    }

    /// Whether the disk has room for so many bytes, and something to spare.
    pub(crate) fn fits_on_disk(&self, size: u64) -> bool {
        let free = crate::config::free(&self.folder);
        // Where the system does not say, writing will show it.
        free.map_or(true, |free| free >= size.saturating_add(DISK_RESERVE))
    }

    /// A file for a new body.
    pub(crate) fn new_file(&self) -> BodyFile {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number}.body"));
        BodyFile::new(path, Arc::clone(&self.closing))
    }

    /// The `objectId` of a request, as far as it is known what its answer varies with.
    pub(crate) fn object(&self, url: &str, request: &HeaderMap) -> Guid {
        let plain = object_id(url, []);
        match self.varying.lock().get(&plain) {
            Some(names) => object_for(url, names, request),
            None => plain,
        }
    }

    pub(crate) fn find(&self, object: Guid) -> Option<Arc<Stored>> {
        self.index.get(&object)
    }

    /// Keeps an answer whose body is whole. Waits for the disk.
    pub(crate) fn keep(&self, stored: Stored) -> io::Result<()> {
        let meta = serde_json::to_vec(&stored.meta)?;
        stored.file.write_meta(&meta)?;
        self.remember(stored);
        Ok(())
    }

    fn remember(&self, stored: Stored) {
        let Ok(object) = stored.meta.object.parse() else {
            return;
        };
        let plain = object_id(&stored.meta.url, []);
        if !stored.meta.vary.is_empty() {
            self.varying.lock().put(plain, stored.meta.vary.clone());
        }
        self.index.insert(object, Arc::new(stored));
    }

    pub(crate) fn forget(&self, object: Guid) {
        self.index.remove(&object);
    }

    /// Removes what an unsafe request has made invalid (RFC 9111, 4.4).
    pub(crate) fn invalidate(&self, url: &str, request: &HeaderMap) {
        self.forget(self.object(url, request));
        self.forget(object_id(url, []));
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

/// The names of the fields that an answer varies with; `None` if it varies with what no request
/// says (`*`), or with more than is reasonable.
pub(crate) fn vary(answer: &HeaderMap) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for value in answer.get_all(header::VARY) {
        for name in value.to_str().ok()?.split(',') {
            match name.trim() {
                "*" => return None,
                "" => {}
                name => names.push(name.to_ascii_lowercase()),
            }
        }
    }
    names.sort();
    names.dedup();
    (names.len() <= MAX_VARY).then_some(names)
}

/// The `objectId` of the answer to such a request, which varies with these fields (Q1).
pub(crate) fn object_for(url: &str, vary: &[String], request: &HeaderMap) -> Guid {
    let value = |name: &String| {
        let values = request.get_all(name).iter();
        let values: Vec<&[u8]> = values.map(http::HeaderValue::as_bytes).collect();
        values.join(&b", "[..])
    };
    let values: Vec<(String, Vec<u8>)> = vary
        .iter()
        .map(|name| (name.clone(), value(name)))
        .collect();
    object_id(
        url,
        values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice())),
    )
}
