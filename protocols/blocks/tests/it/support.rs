//! What the tests share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use blocks::{Block, RAW};
use bytes::Bytes;

/// The raw block made of `length` bytes that `seed` decides.
pub(crate) fn block(seed: u64, length: usize) -> Block {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes: Vec<u8> = (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    Block::of(RAW, Bytes::from(bytes)).unwrap()
}

/// Copies a directory as it is now: what a process killed now leaves behind. The engine
/// tidies up in the background, so a copy during which something changed is made again.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    loop {
        let before = listing(from);
        if try_copy(from, to).is_ok() && before.is_ok() && before.ok() == listing(from).ok() {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
    }
}

fn try_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            try_copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Every file below a directory with its length and the time of its last change.
fn listing(below: &Path) -> std::io::Result<BTreeMap<PathBuf, (u64, SystemTime)>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(below)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            found.extend(listing(&entry.path())?);
        } else {
            found.insert(entry.path(), (metadata.len(), metadata.modified()?));
        }
    }
    Ok(found)
}

/// All files below a directory, largest last.
pub(crate) fn files(below: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort_by_key(|path| path.metadata().unwrap().len());
    found
}
