//! What can go wrong, one error an operation.

use std::io;
use std::path::PathBuf;

use cid::Cid;

use crate::blocks::BoxError;

/// Why a file or directory was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The input could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was read; `-` for a reader without a name.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file or directory was written to, or replaced, while it was read.
    #[error("{} changed while it was read", .0.display())]
    Changed(PathBuf),
    /// Neither a file, nor a directory, nor a symbolic link.
    #[error("{} is not a file, a directory or a symbolic link", .0.display())]
    NotAFile(PathBuf),
    /// A name or link target that UnixFS cannot hold: it is not UTF-8, or too long.
    #[error("the name or link target of {} is not UTF-8 or too long", .0.display())]
    Name(PathBuf),
    /// The directory has more than [`MAX_DIRECTORY_ENTRIES`](crate::MAX_DIRECTORY_ENTRIES), or
    /// lies deeper than [`MAX_DIRECTORY_DEPTH`](crate::MAX_DIRECTORY_DEPTH), or more names than a
    /// HAMT can tell apart share a hash.
    #[error("{} is too large or too deep a directory", .0.display())]
    TooLarge(PathBuf),
    /// The options are out of range.
    #[error("{0}")]
    Options(&'static str),
    /// The sink did not take a block.
    #[error("cannot store block {cid}")]
    Sink {
        /// The block.
        cid: Cid,
        /// Why not.
        #[source]
        source: BoxError,
    },
}

/// Why a file or directory was not exported, listed or described.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The source did not give a block.
    #[error("cannot get block {cid}")]
    Source {
        /// The block.
        cid: Cid,
        /// Why not.
        #[source]
        source: BoxError,
    },
    /// A block is not what its CID or its parent says, or breaks a bound.
    #[error("block {cid} is malformed: {reason}")]
    Malformed {
        /// The block.
        cid: Cid,
        /// What is wrong with it.
        #[source]
        reason: Malformed,
    },
    /// The CID names something else than was asked for.
    #[error("{cid} is a {found}, not a {wanted}")]
    WrongKind {
        /// What was asked for.
        cid: Cid,
        /// What it is.
        found: crate::Kind,
        /// What it should be.
        wanted: crate::Kind,
    },
    /// A directory has no entry of the name.
    #[error("there is no {name:?} in {cid}")]
    NotThere {
        /// The directory.
        cid: Cid,
        /// What was looked for.
        name: String,
    },
    /// The output could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// What was written; `-` for a writer without a name.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is something at the path already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Another export is writing the same thing to the same place.
    #[error("another export is writing {}", .0.display())]
    Busy(PathBuf),
    /// The whole is larger than the caller allows.
    #[error("{cid} holds more than the {limit} {unit} allowed")]
    TooLarge {
        /// What was exported.
        cid: Cid,
        /// The most that was allowed.
        limit: u64,
        /// Of what: `bytes` or `entries`.
        unit: &'static str,
    },
}

impl ExportError {
    pub(crate) fn malformed(cid: &Cid, reason: Malformed) -> Self {
        ExportError::Malformed { cid: *cid, reason }
    }
}

/// What is wrong with a block (rules U10 to U15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The bytes do not have the hash in the CID.
    #[error("its bytes do not match its hash")]
    Hash,
    /// The hash function is not one that is known here.
    #[error("unknown hash function {0:#x}")]
    UnknownHash(u64),
    /// The codec is neither raw nor dag-pb.
    #[error("its codec {0:#x} is neither raw nor dag-pb")]
    UnknownCodec(u64),
    /// Longer than [`MAX_BLOCK`](crate::MAX_BLOCK).
    #[error("it is longer than a block may be")]
    TooLong,
    /// Not dag-pb.
    #[error("it is not dag-pb")]
    NotDagPb,
    /// The dag-pb data is not UnixFS, or of an unknown type.
    #[error("it is not UnixFS")]
    NotUnixFs,
    /// The declared sizes do not add up, or a child is not of the declared size.
    #[error("its sizes do not add up")]
    Size,
    /// More links than a node may have.
    #[error("it has too many links")]
    TooManyLinks,
    /// The tree is deeper than allowed.
    #[error("it lies too deep")]
    TooDeep,
    /// A directory name that is empty, `.`, `..`, too long, or contains `/` or NUL.
    #[error("it has a name that is no file name")]
    Name,
    /// Two entries of one directory have the same name.
    #[error("it has the same name twice")]
    DuplicateName,
    /// The HAMT's parameters, bitmap or link names contradict each other.
    #[error("it is not a valid HAMT node")]
    Hamt,
    /// A symbolic link without a usable target.
    #[error("it has no usable link target")]
    Symlink,
}
