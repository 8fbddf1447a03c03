//! Copies of blocks that other nodes keep (B10 to B12).
//!
//! PAST caches files in the part of the disk that its replicas do not need, and drops them
//! whenever room is wanted (Rowstron & Druschel, SOSP 2001, section 4). *Departure:* PAST
//! weighs a file's size against its popularity (GreedyDual-Size); blocks are of much the
//! same size, so the one used longest ago goes first.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use cid::Cid;
use parking_lot::Mutex;
use replicas::hashing;

use crate::block::{parse_cid, verify};
use crate::store::Usage;
use replicas::engine_error::free_on_disk;

/// Blocks in a cache at most: each is a file, and some 200 bytes of memory.
pub const MAX_CACHED: usize = 65_536;

/// Bytes of the disk that a cache leaves free. Its store stops at 128 MiB (B7), and what
/// can be dropped is to be gone long before.
pub const LEAVES_FREE: u64 = 1 << 30;

/// Blocks in a directory, up to a number of bytes, each in a file named by its CID. Nothing
/// is synced: what does not match its CID when it is read was never there.
pub struct Cache {
    directory: PathBuf,
    limit: u64,
    leaves_free: u64,
    kept: Mutex<Kept>,
}

/// What became of a block that was put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Whether it is kept.
    pub kept: bool,
    /// Blocks that made room and are kept no more.
    pub dropped: Vec<Cid>,
}

/// What is on disk, in the order of its last use.
#[derive(Default)]
struct Kept {
    next: u64,
    order: BTreeMap<u64, Cid>,
    blocks: HashMap<Cid, (u64, u64)>,
    bytes: u64,
}

impl Cache {
    /// The cache in `directory`, which is made if it is new; it keeps at most `limit` bytes
    /// and leaves `leaves_free` bytes of the disk free. What it kept before is there still,
    /// unless `limit` is smaller now.
    ///
    /// Reads the directory: not to be called on a task.
    pub fn open(directory: PathBuf, limit: u64, leaves_free: u64) -> io::Result<Cache> {
        fs::create_dir_all(&directory)?;
        let mut found: Vec<(SystemTime, Cid, u64)> = Vec::new();
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let name = entry.file_name();
            let cid = name.to_str().and_then(|name| name.parse::<Cid>().ok());
            let ours = |cid: &Cid| metadata.is_file() && parse_cid(&cid.to_bytes()).is_some();
            // What else is there is not this cache's to remove.
            if let Some(cid) = cid.filter(ours) {
                found.push((metadata.modified()?, cid, metadata.len()));
            }
        }
        found.sort_by_key(|(time, cid, _)| (*time, cid.to_bytes()));
        let mut kept = Kept::default();
        for (_, cid, size) in found {
            kept.add(cid, size);
        }
        let cache = Cache {
            directory,
            limit,
            leaves_free,
            kept: Mutex::new(kept),
        };
        for cid in cache.make_room(0) {
            cache.delete(&cid)?;
        }
        Ok(cache)
    }

    /// The block, if a copy is kept that matches its CID.
    pub async fn get(self: &Arc<Self>, cid: &Cid) -> Option<Bytes> {
        if !self.kept.lock().touch(cid) {
            return None;
        }
        let (cache, wanted) = (Arc::clone(self), *cid);
        let read = move || {
            let bytes = Bytes::from(fs::read(cache.path(&wanted)).ok()?);
            verify(&wanted, &bytes).ok().map(|()| bytes)
        };
        let bytes = hashing::run(read).await?;
        if bytes.is_none() {
            tracing::warn!(%cid, "a cached block is damaged or gone, and is dropped");
            self.remove(cid).await;
        }
        bytes
    }

    /// Keeps a block, whose bytes the caller has checked, unless it is larger than the cache
    /// or the disk has no room.
    pub async fn put(self: &Arc<Self>, cid: Cid, bytes: Bytes) -> Written {
        let cache = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || cache.write(cid, &bytes));
        written.await.unwrap_or_default()
    }

    /// Forgets a block; whether it was kept.
    pub async fn remove(self: &Arc<Self>, cid: &Cid) -> bool {
        if !self.kept.lock().remove(cid) {
            return false;
        }
        let (cache, cid) = (Arc::clone(self), *cid);
        let deleted = tokio::task::spawn_blocking(move || cache.delete(&cid)).await;
        if let Ok(Err(error)) = deleted {
            tracing::warn!(%cid, %error, "a cached block could not be removed");
        }
        true
    }

    /// Whether a copy is kept; nothing is read.
    pub fn has(&self, cid: &Cid) -> bool {
        self.kept.lock().blocks.contains_key(cid)
    }

    /// How much is kept.
    pub fn usage(&self) -> Usage {
        let kept = self.kept.lock();
        Usage {
            blocks: kept.blocks.len() as u64,
            bytes: kept.bytes,
            quota: Some(self.limit),
        }
    }

    /// The blocks used last, at most `limit` of them.
    pub fn newest(&self, limit: usize) -> Vec<Cid> {
        let kept = self.kept.lock();
        kept.order.values().rev().take(limit).copied().collect()
    }

    fn write(&self, cid: Cid, bytes: &Bytes) -> Written {
        if self.kept.lock().touch(&cid) {
            return Written {
                kept: true,
                dropped: Vec::new(),
            };
        }
        let size = bytes.len() as u64;
        let free = free_on_disk(&self.directory).unwrap_or(0);
        if size > self.limit || free < self.leaves_free.saturating_add(size) {
            return Written::default();
        }
        let dropped = self.make_room(size);
        for cid in &dropped {
            if let Err(error) = self.delete(cid) {
                tracing::warn!(%cid, %error, "a cached block could not be removed");
            }
        }
        // A write that is cut short leaves bytes that do not match, which do no harm.
        let written = fs::write(self.path(&cid), bytes);
        match &written {
            Ok(()) => self.kept.lock().add(cid, size),
            Err(error) => {
                tracing::debug!(%cid, %error, "a block was not cached");
                // Less room is left on the disk until it is written again, that is all.
                let _ = self.delete(&cid);
            }
        }
        Written {
            kept: written.is_ok(),
            dropped,
        }
    }

    /// Takes blocks off the list until `size` bytes more may be kept.
    fn make_room(&self, size: u64) -> Vec<Cid> {
        let mut kept = self.kept.lock();
        let mut dropped = Vec::new();
        while kept.bytes + size > self.limit
            || kept.blocks.len() + usize::from(size > 0) > MAX_CACHED
        {
            let Some((_, oldest)) = kept.order.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            kept.remove(&oldest);
            dropped.push(oldest);
        }
        dropped
    }

    fn delete(&self, cid: &Cid) -> io::Result<()> {
        match fs::remove_file(self.path(cid)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    fn path(&self, cid: &Cid) -> PathBuf {
        self.directory.join(cid.to_string())
    }
}

impl Kept {
    fn add(&mut self, cid: Cid, size: u64) {
        self.remove(&cid);
        let number = self.next;
        self.next += 1;
        self.order.insert(number, cid);
        self.blocks.insert(cid, (number, size));
        self.bytes += size;
    }

    fn remove(&mut self, cid: &Cid) -> bool {
        let Some((number, size)) = self.blocks.remove(cid) else {
            return false;
        };
        self.order.remove(&number);
        self.bytes -= size;
        true
    }

    /// Moves a block to the end; whether it is kept.
    fn touch(&mut self, cid: &Cid) -> bool {
        let Some((_, size)) = self.blocks.get(cid).copied() else {
            return false;
        };
        self.add(*cid, size);
        true
    }
}
