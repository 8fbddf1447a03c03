//! Why something could not be archived, restored or found.

use cid::Cid;
use libp2p_identity::PeerId;
use replicas::{GetError, PlacementError, PutError, StoreError};
use unixfs::BoxError;

use crate::code::CodeError;
use crate::manifest::{MAX_SEGMENTS, SignError};
use crate::stream::StreamError;
use crate::walk::WalkError;

/// Why a version was not archived.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Only the owner of an object archives it (H11).
    #[error("it belongs to {0}, and only the owner of a name archives it")]
    NotYours(PeerId),
    /// A removal has nothing to archive.
    #[error("version {0} says that it was removed: there is nothing to archive")]
    Removed(u64),
    /// It is archived already (H16).
    #[error("version {seq} is archived already: any {needed} of {fragments} fragments")]
    Already {
        /// Which version.
        seq: u64,
        /// How many are needed.
        needed: usize,
        /// Of how many.
        fragments: usize,
    },
    /// It cannot be told whether it is.
    #[error("whether it is archived already is not known: {0}")]
    Unknown(#[source] GetError),
    /// Too few nodes to be worth anything.
    #[error(
        "fragments belong on different nodes, at least 2, and this node knows of {}",
        others(*.0)
    )]
    TooFewNodes(usize),
    /// More than an archive takes.
    #[error(
        "it is too large to archive: at most {most} bytes where any {needed} fragments are enough"
    )]
    TooLarge {
        /// Bytes at most.
        most: u64,
        /// How many fragments are needed.
        needed: usize,
    },
    /// Its blocks could not all be got.
    #[error("it cannot be read: {0}")]
    Walk(#[from] WalkError),
    /// Nobody could say where fragments belong.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// Too many fragments could not be put.
    #[error(
        "only {placed} of {fragments} fragments of a part were stored, at least {least} have to be{}",
        because(.first.as_deref())
    )]
    TooFewStored {
        /// How many were.
        placed: usize,
        /// Of how many.
        fragments: usize,
        /// How many have to be.
        least: usize,
        /// What the first failure was.
        first: Option<String>,
    },
    /// The manifest could not be put.
    #[error("its fragments are stored, but not what tells where they are: {0}")]
    Manifest(#[source] PutError),
    /// It could not be coded.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The manifest could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// As many jobs as a node takes are under way.
    #[error("this node is archiving or restoring {0} versions already")]
    Busy(usize),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

fn others(nodes: usize) -> String {
    match nodes {
        0 | 1 => "no other".to_owned(),
        nodes => format!("{nodes}"),
    }
}

fn because(first: Option<&str>) -> String {
    first.map_or_else(String::new, |first| format!(" ({first})"))
}

impl AddError {
    pub(crate) fn too_large(capacity: usize, needed: usize) -> AddError {
        let most = (capacity as u64).saturating_mul(MAX_SEGMENTS as u64);
        AddError::TooLarge { most, needed }
    }
}

/// Why an archive was not found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Nothing of the object is archived.
    #[error("no version of it is archived")]
    Nothing,
    /// This version is not.
    #[error("version {wanted} is not archived; archived are: {}", list(.archived))]
    NotThis {
        /// Which was wanted.
        wanted: String,
        /// What is archived.
        archived: Vec<u64>,
    },
    /// It could not be told.
    #[error(transparent)]
    Replicas(#[from] GetError),
    /// The store here failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(numbers: &[u64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(|seq| format!("v{seq}")).collect();
    numbers.join(", ")
}

/// Why a version was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Too few fragments of a segment are left, or can be reached.
    #[error(
        "too few fragments: of part {part} of {parts}, {found} of {fragments} could be got, {needed} are needed{}",
        damaged(*.bad)
    )]
    TooFew {
        /// Which segment, from 1.
        part: usize,
        /// Of how many.
        parts: usize,
        /// Fragments that were got.
        found: usize,
        /// How many would have been enough.
        needed: usize,
        /// How many there should be.
        fragments: usize,
        /// How many were not what their names promise.
        bad: u64,
    },
    /// The fragments are as they were made, and were made wrong (H18).
    #[error("the archive was made wrong: {0}")]
    Wrong(String),
    /// A block could not be put back.
    #[error("block {cid} could not be stored again: {source}")]
    Put {
        /// Which.
        cid: Cid,
        /// Why.
        source: BoxError,
    },
    /// As many jobs as a node takes are under way.
    #[error("this node is archiving or restoring {0} versions already")]
    Busy(usize),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

fn damaged(bad: u64) -> String {
    match bad {
        0 => String::new(),
        bad => format!("; {bad} were damaged"),
    }
}

impl From<StreamError> for RestoreError {
    fn from(error: StreamError) -> Self {
        RestoreError::Wrong(error.to_string())
    }
}

impl From<CodeError> for RestoreError {
    fn from(error: CodeError) -> Self {
        RestoreError::Wrong(error.to_string())
    }
}
