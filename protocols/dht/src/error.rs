//! What can go wrong for an application.

use std::time::Duration;

use libp2p_identity::PeerId;
use replicas::StoreError;

use crate::SignError;
use crate::record::MAX_LIFETIME;

/// Why nothing was got.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GetError {
    /// Everybody who should know was asked and knows of nothing.
    #[error("nothing stands under this key, says {}", names(.asked))]
    NotFound {
        /// Who was asked, beside this node.
        asked: Vec<PeerId>,
    },
    /// There was something once.
    #[error("what stood under this key was removed or has expired")]
    Over,
    /// Too few of those who should know answered, or the store here failed.
    #[error(transparent)]
    Replicas(replicas::GetError),
}

impl GetError {
    /// Whether it is certain that there is nothing, as far as it can be.
    pub fn is_not_found(&self) -> bool {
        match self {
            GetError::NotFound { .. } | GetError::Over => true,
            GetError::Replicas(_) => false,
        }
    }
}

impl From<replicas::GetError> for GetError {
    fn from(error: replicas::GetError) -> GetError {
        match error {
            replicas::GetError::NotFound { asked } => GetError::NotFound { asked },
            error => GetError::Replicas(error),
        }
    }
}

fn names(peers: &[PeerId]) -> String {
    let mut names = String::from("this node");
    for peer in peers {
        names.push_str(&format!(", {peer}"));
    }
    names
}

/// Why nothing was put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The value is too long, or could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The lifetime is no good.
    #[error("a record lives for 1 to {MAX_LIFETIME} seconds, not {}", .0.as_secs_f64())]
    Lifetime(Duration),
    /// The records kept here could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too few replicas took it.
    #[error(transparent)]
    Replicas(#[from] replicas::PutError),
    /// Another node with this node's key writes the same key.
    #[error("another node with this node's key is writing under the same key")]
    Contended,
}

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// This node has no record there, or none any more; or nobody could be asked.
    #[error(transparent)]
    Get(#[from] GetError),
    /// The tombstone could not be put.
    #[error(transparent)]
    Put(#[from] PutError),
}

impl RemoveError {
    /// Whether there is nothing of this node to remove.
    pub fn is_not_found(&self) -> bool {
        matches!(self, RemoveError::Get(error) if error.is_not_found())
    }
}
