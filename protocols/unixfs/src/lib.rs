//! Files and directories as UnixFS, in the `unixfs-v1-2025` profile of IPIP-499.
//!
//! The same bytes give the same CID here as in kubo under that profile: CIDv1, SHA-256, raw leaves
//! of 1 MiB, balanced trees of at most 1024 links a node, directories that become a HAMT of 256
//! branches once their block would exceed 256 KiB. What other tools made (CIDv0, dag-pb leaves,
//! other widths) is read as well. The rules are numbered in `docs/specs/unixfs.md`.
//!
//! Nothing here knows where blocks live: [`BlockSink`] takes them, [`BlockSource`] gives them.
//! Every block that comes from a source is hashed before it is looked at.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let blocks = unixfs::MemoryBlocks::default();
//! let options = unixfs::Options::default();
//! let done = unixfs::import_reader(&b"hello"[..], &blocks, &options).await?;
//! assert_eq!(done.size, 5);
//!
//! let mut out = Vec::new();
//! unixfs::export_to_writer(&done.cid, &blocks, &mut out, 8).await?;
//! assert_eq!(out, b"hello");
//! # Ok(()) }
//! ```

mod balanced;
mod blocks;
mod chunker;
mod chunking;
mod concat;
mod dagpb;
mod data;
mod diff;
mod directory;
mod error;
mod export;
mod export_path;
mod fetch;
mod hamt;
mod import;
mod import_path;
mod list;
mod lookup;
mod murmur3;
mod names;
mod part;
mod profile;
mod progress;
mod root_once;
mod splice;
mod tree;
mod walk;

pub use blocks::{BlockSink, BlockSource, BoxError, MemoryBlocks};
pub use chunking::{Chunking, ChunkingError, MAX_AVERAGE, MIN_CHUNK};
pub use concat::concat;
pub use data::Kind;
pub use diff::{Difference, MAX_DIFFERENCES, diff};
pub use error::{ExportError, ImportError, Malformed};
pub use export::{export_range, export_to_writer};
pub use export_path::{ExportOptions, Exported, export_to_path, part_path};
pub use import::{Imported, import_reader};
pub use import_path::import_path;
pub use list::{Child, Entry, Stat, children, ls, stat};
pub use lookup::resolve;
pub use profile::{
    CHUNK_SIZE, HAMT_FANOUT, HAMT_THRESHOLD, MAX_BLOCK, MAX_DIRECTORY_DEPTH, MAX_DIRECTORY_ENTRIES,
    MAX_FILE_DEPTH, MAX_FILE_LINKS, MAX_LINKS, MAX_NAME, MAX_SYMLINK, Options,
};
pub use progress::Progress;
pub use root_once::RootOnce;
pub use splice::{
    Insert, MAX_INSERTED_LEAVES, SpliceError, Spliced, splice, splice_each, splice_with,
};
pub use tree::leaf_at;
