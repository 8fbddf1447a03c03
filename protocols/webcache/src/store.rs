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

use crate::{digest::Known, file::BodyFile, memory::Memory, wanted::Wanted};

/// What an object takes beside its body at least: head, names and an inode.
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
    /// Bytes of the meta on disk.
    head: u64,
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
    /// Whether peers may have it (Q32).
    #[serde(default)]
    pub(crate) shared: bool,
    /// The digest that its body has been found to have (Q35).
    #[serde(default)]
    pub(crate) checked: Option<Known>,
    /// Whether it is a peer's, and not its origin's.
    #[serde(default)]
    pub(crate) from_peer: bool,
    /// Equal for the same representation (Q2).
    #[serde(default)]
    pub(crate) version: u64,
    pub(crate) policy: CachePolicy,
}

impl Meta {
    /// Whether its body is known to be what this request is for.
    pub(crate) fn is_checked(&self, wanted: &Wanted) -> bool {
        self.checked.is_some() && self.checked == wanted.known
    }

    /// Whether it may be given for a request: not if it is known to be another body, nor, where
    /// peers are not believed everything, if it is a peer's that was not checked.
    pub(crate) fn is_believed(&self, wanted: &Wanted, peers: bool) -> bool {
        let is_other =
            self.checked.is_some() && wanted.known.is_some() && self.checked != wanted.known;
        !is_other && (peers || !self.from_peer || self.checked.is_some())
    }
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
        stored.meta.size + stored.head.max(OVERHEAD)
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
    /// Bytes that bodies on their way will need.
    promised: Arc<AtomicU64>,
    /// What bodies on their way may take of the machine's memory.
    memory: Arc<Memory>,
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
            promised: Arc::new(AtomicU64::new(0)),
            memory: Memory::new(),
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
        // In the order in which they came.
        bodies.sort_by_key(|path| number(path));
        for path in bodies {
            store.reopen(path);
        }
        Ok(store)
    }

    fn reopen(&self, path: PathBuf) {
        if let Some(number) = number(&path).and_then(|number| number.checked_add(1)) {
            self.next.fetch_max(number, Ordering::Relaxed);
        }
        // Dropped, with its files, unless all of it is right.
        let file = self.body_file(path);
        let Ok(text) = fs::read(file.meta_path()) else {
            return;
        };
        let Ok(meta) = serde_json::from_slice::<Meta>(&text) else {
            return;
        };
        let whole = fs::metadata(file.path()).is_ok_and(|found| found.len() == meta.size);
        if whole {
            self.remember(Stored {
                meta,
                file: Arc::new(file),
                head: text.len() as u64,
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

    /// Promises a body of so many bytes, or of the largest size where nobody knows, room on the
    /// disk, if it has that and something to spare beside what is promised already.
    pub(crate) fn promise(&self, size: Option<u64>) -> Option<Promise> {
        let left = size.unwrap_or(self.largest());
        // Where the system does not say, writing will show it.
        let free = crate::config::free(&self.folder).unwrap_or(u64::MAX);
        self.promise_of(left, free)
    }

    /// Whether bodies on their way leave room for one that peers want: what they have fetched
    /// does not keep out what own clients ask for.
    pub(crate) fn has_room_for_peers(&self) -> bool {
        self.promised.load(Ordering::Relaxed) <= self.room / 2
    }

    fn promise_of(&self, left: u64, free: u64) -> Option<Promise> {
        let before = self.promised.fetch_add(left, Ordering::Relaxed);
        let promise = Promise {
            left,
            promised: Arc::clone(&self.promised),
        };
        let needed = before.saturating_add(left).saturating_add(DISK_RESERVE);
        (free >= needed).then_some(promise)
    }

    fn body_file(&self, path: PathBuf) -> BodyFile {
        BodyFile::new(path, Arc::clone(&self.closing), Arc::clone(&self.memory))
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// A file for a new body.
    pub(crate) fn new_file(&self) -> BodyFile {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number}.body"));
        self.body_file(path)
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
    pub(crate) fn keep(&self, meta: &Meta, file: Arc<BodyFile>) -> io::Result<()> {
        let text = serde_json::to_vec(meta)?;
        file.write_meta(&text)?;
        self.remember(Stored {
            // Read back: the fields of the answer are parts of the buffer they came in, which
            // would stay as long as they do.
            meta: serde_json::from_slice(&text)?,
            file,
            head: text.len() as u64,
        });
        Ok(())
    }

    fn remember(&self, stored: Stored) {
        let Ok(object) = stored.meta.object.parse() else {
            return;
        };
        let plain = object_id(&stored.meta.url, []);
        // The latest answer says what the answers of its URL vary with.
        match stored.meta.vary.is_empty() {
            true => self.varying.lock().pop(&plain),
            false => self.varying.lock().put(plain, stored.meta.vary.clone()),
        };
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

/// The number that a body's file has for a name.
fn number(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// Bytes of the disk that a body on its way will need. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Promise {
    left: u64,
    promised: Arc<AtomicU64>,
}

impl Promise {
    /// So many bytes of it are on the disk.
    pub(crate) fn written(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        self.promised.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.promised.fetch_sub(self.left, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_is_not_promised_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 1 << 20).unwrap();
        let free = DISK_RESERVE + 100;
        let mut first = store.promise_of(60, free).unwrap();
        assert!(store.promise_of(60, free).is_none());
        let second = store.promise_of(40, free).unwrap();
        // What is written is no longer free, and no longer promised.
        first.written(50);
        assert!(store.promise_of(10, free - 50).is_none());
        drop(second);
        assert!(store.promise_of(40, free - 50).is_some());
        first.written(1000);
        drop(first);
        assert_eq!(store.promised.load(Ordering::Relaxed), 0);
        // Of unknown length: as large as any.
        let unknown = store.promise(None).unwrap();
        assert_eq!(unknown.left, store.largest());
        // Peers leave half of it.
        let _more = store.promise(None).unwrap();
        assert!(store.has_room_for_peers());
        let _most = store.promise(None).unwrap();
        assert!(!store.has_room_for_peers());
    }

    #[test]
    fn a_meta_that_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 1 << 20).unwrap();
        let file = store.new_file();
        // In its place is something that it cannot replace.
        fs::create_dir(file.meta_path()).unwrap();
        assert!(file.write_meta(b"{}").is_err());
        assert!(!file.path().with_extension("part").exists());
    }
}
