//! Why something was not done.

use cid::Cid;
use replicas::StoreError;
use unixfs::BoxError;

use crate::{MAX_BLOCKS, MAX_DEPTH, MAX_PINS};

/// Why a pin does not have all its blocks.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A block could not be got.
    #[error("block {cid}: {source}")]
    Block {
        /// Which.
        cid: Cid,
        /// Why.
        source: BoxError,
    },
    /// A block has links that cannot be read.
    #[error("block {0} is malformed")]
    Malformed(Cid),
    /// The versions of an object are not known.
    #[error("its versions: {0}")]
    Versions(#[source] BoxError),
    /// The root is none of a block that can be kept.
    #[error(
        "{0} cannot be pinned: its codec is none of raw, dag-pb and dag-cbor, or its hash is not SHA-256"
    )]
    Unsupported(Cid),
    /// More blocks than a pin may have.
    #[error("it has more than {MAX_BLOCKS} blocks")]
    TooMany,
    /// A longer way down than is gone.
    #[error("its blocks are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// As many pins as there may be.
    #[error("this node has {MAX_PINS} pins, the most there may be")]
    Full,
    /// Unpinned meanwhile.
    #[error("it was unpinned meanwhile")]
    Removed,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PinError {
    /// Whether trying again would be in vain.
    pub fn is_final(&self) -> bool {
        match self {
            PinError::Malformed(_)
            | PinError::Unsupported(_)
            | PinError::TooMany
            | PinError::TooDeep
            | PinError::Removed => true,
            PinError::Block { .. }
            | PinError::Versions(_)
            | PinError::Full
            | PinError::Stopped
            | PinError::Store(_) => false,
        }
    }
}

/// Why a pass ended early.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CollectError {
    /// It is not known what is owed to others.
    #[error(
        "this node does not know yet what it has to keep for others: it has just started, or a neighbour does not answer"
    )]
    Unsettled,
    /// Another pass is under way.
    #[error("copies are being let go already")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a check ended early.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CheckError {
    /// Another check is under way.
    #[error("a check is under way already")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
