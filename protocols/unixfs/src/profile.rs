//! The numbers of the `unixfs-v1-2025` profile, and the bounds on what is read.

use crate::chunking::Chunking;
use crate::error::ImportError;

/// Bytes in a chunk of a file (rule U2).
pub const CHUNK_SIZE: usize = 1024 * 1024;

/// Links in a node of a file (rule U3).
pub const MAX_LINKS: usize = 1024;

/// A directory whose dag-pb block would be longer than this many bytes becomes a HAMT (rule U6).
pub const HAMT_THRESHOLD: usize = 256 * 1024;

/// Branches of a HAMT node that is written here (rule U7).
pub const HAMT_FANOUT: usize = 256;

/// Bytes in the longest block that is read or written: what bitswap peers accept.
pub const MAX_BLOCK: usize = 2 * 1024 * 1024;

/// Nodes from the root of a file to a leaf. Four levels of 1024 links hold 1024 TiB in 1 MiB
/// chunks; trees of other tools are narrower, never this deep.
pub const MAX_FILE_DEPTH: usize = 16;

/// Links in a node of a file that is read: sixteen times the profile's, so that a hostile tree
/// of [`MAX_FILE_DEPTH`] levels keeps at most 262,144 links (about 30 MB) in memory.
pub const MAX_FILE_LINKS: usize = 16 * 1024;

/// Entries in one directory, read or written: all of one directory's links are held at once
/// (about 200 bytes each).
pub const MAX_DIRECTORY_ENTRIES: usize = 1 << 20;

/// Directories inside one another. Linux paths end at 4096 bytes, which is about 2,000 levels;
/// each level costs its list of entries in memory.
pub const MAX_DIRECTORY_DEPTH: usize = 256;

/// Bytes in a name: what Linux file systems hold.
pub const MAX_NAME: usize = 255;

/// Bytes in the target of a symbolic link: `PATH_MAX`.
pub const MAX_SYMLINK: usize = 4096;

/// How files are cut and how much is in flight. The default is the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where files are cut.
    pub chunking: Chunking,
    /// Links in a node of a file, 2 to [`MAX_FILE_LINKS`].
    pub max_links: usize,
    /// Chunks in memory at a time, being read, hashed or handed to the sink; at least 1.
    pub concurrency: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            chunking: Chunking::default(),
            max_links: MAX_LINKS,
            concurrency: 16,
        }
    }
}

impl Options {
    /// Whether the numbers are in range.
    pub fn validate(&self) -> Result<(), ImportError> {
        self.chunking.check().map_err(ImportError::Options)?;
        if !(2..=MAX_FILE_LINKS).contains(&self.max_links) {
            return Err(ImportError::Options("max_links must be 2 to 16384"));
        }
        if self.concurrency == 0 {
            return Err(ImportError::Options("concurrency must be at least 1"));
        }
        Ok(())
    }
}
