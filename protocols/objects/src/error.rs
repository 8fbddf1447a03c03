//! What can go wrong for an application.

use cid::Cid;
use libp2p_identity::PeerId;
use replicas::StoreError;
use unixfs::{BoxError, ExportError, ImportError, SpliceError};

use crate::{RecordError, SignError, Version};

/// Why a version was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Everybody who should know was asked and knows no object of this name.
    #[error("there is no object of this name")]
    NotFound {
        /// Who was asked, beside this node.
        asked: Vec<PeerId>,
    },
    /// The newest version is a removal.
    #[error("it was removed by version {seq}")]
    Removed {
        /// The number of the removal.
        seq: u64,
    },
    /// There is more than one version where one was asked for.
    #[error(
        "two nodes with one key wrote at the same time, and there are {} newest versions (number {seq}): {}",
        .heads.len(), list(.heads)
    )]
    Fork {
        /// Their number.
        seq: u64,
        /// Their records.
        heads: Vec<Cid>,
    },
    /// There never was this version.
    #[error("there is no {wanted}: the newest is version {newest}")]
    NoVersion {
        /// Which was asked for.
        wanted: Version,
        /// Number of the newest.
        newest: u64,
    },
    /// It is further back than a walk goes, or takes longer.
    #[error(
        "it is further back than one request goes, which reads {} records at most and for {} s: after {records} records the next is {next}, version {seq}: go on from there by its VGUID",
        crate::MAX_WALK, crate::WALK_TIME.as_secs()
    )]
    TooFar {
        /// The record that was not read any more.
        next: Cid,
        /// Its number.
        seq: u64,
        /// Records that were read.
        records: u64,
    },
    /// Too few of those who should know answered, or the store here failed.
    #[error(transparent)]
    Replicas(replicas::GetError),
    /// The record of a version could not be got.
    #[error("the record {vguid} cannot be got: {source}")]
    Block {
        /// The version.
        vguid: Cid,
        /// Why not.
        source: BoxError,
    },
    /// The record of a version is none, or not the one that belongs there.
    #[error("the record {vguid} is no good: {reason}")]
    Record {
        /// The version.
        vguid: Cid,
        /// What is wrong with it.
        #[source]
        reason: RecordError,
    },
    /// The content of a version could not be read.
    #[error(transparent)]
    Content(#[from] ExportError),
}

fn list(heads: &[Cid]) -> String {
    let heads: Vec<String> = heads.iter().map(Cid::to_string).collect();
    heads.join(", ")
}

impl From<replicas::GetError> for ReadError {
    fn from(error: replicas::GetError) -> ReadError {
        match error {
            replicas::GetError::NotFound { asked } => ReadError::NotFound { asked },
            error => ReadError::Replicas(error),
        }
    }
}

/// Why no version was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// No clause of the update held.
    #[error("the update was refused: {}", .0.join("; "))]
    Refused(Vec<String>),
    /// The update breaks a bound or contradicts itself.
    #[error("the update is malformed: {0}")]
    Malformed(String),
    /// The object, or what it was before, could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The version could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A change of the content did not work.
    #[error(transparent)]
    Splice(#[from] SpliceError),
    /// The list of names could not be stored.
    #[error("the list of names could not be stored: {0}")]
    Names(#[source] ImportError),
    /// There are as many names as there may be.
    #[error("the namespace has {} names, no more are allowed", crate::MAX_NAMES)]
    TooManyNames,
    /// The block of the record could not be stored.
    #[error("the version's record could not be stored: {0}")]
    Block(#[source] BoxError),
    /// The store of this node failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The version is kept here, and whether a majority has it is not known. The next one
    /// follows it.
    #[error("version {seq} was made and is kept here, but may not be on enough replicas: {source}")]
    Unsure {
        /// Its number.
        seq: u64,
        /// What failed.
        #[source]
        source: BoxError,
    },
    /// Somebody with the same key wrote meanwhile.
    #[error("another node with this node's key has written the same object meanwhile")]
    Contended,
}
