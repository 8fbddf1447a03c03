//! Why a block was not got.

use libp2p_identity::PeerId;

/// Why one peer did not deliver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It says that it does not have the block.
    #[error("does not have it")]
    Missing,
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// It sent something that nobody had asked for.
    #[error("sent other bytes")]
    Lied,
    /// It could not be reached, does not speak the protocol, or the connection ended.
    #[error("not reachable: {0}")]
    Unreachable(String),
}

/// Why a block was not got.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// Everybody was asked and does not have it.
    #[error("none of {} peers has it", .asked.len())]
    NotFound {
        /// Who was asked.
        asked: Vec<PeerId>,
    },
    /// Nobody delivered it, and not all have said that they do not have it.
    #[error("not got: {}", reasons(.failed))]
    Failed {
        /// Who was asked, and what became of it.
        failed: Vec<(PeerId, Reason)>,
    },
    /// There is nobody to ask.
    #[error("nobody is known who may have it")]
    Nobody,
    /// See [`MAX_GETS`](crate::MAX_GETS).
    #[error("too many blocks are asked for at a time")]
    TooMany,
    /// See [`MAX_SESSIONS`](crate::MAX_SESSIONS).
    #[error("too many sessions are open")]
    TooManySessions,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

impl GetError {
    pub(crate) fn of(mut failed: Vec<(PeerId, Reason)>) -> GetError {
        if failed.is_empty() {
            return GetError::Nobody;
        }
        failed.sort_by_key(|(peer, _)| *peer);
        match failed.iter().all(|(_, why)| *why == Reason::Missing) {
            true => GetError::NotFound {
                asked: failed.into_iter().map(|(peer, _)| peer).collect(),
            },
            false => GetError::Failed { failed },
        }
    }
}

fn reasons(failed: &[(PeerId, Reason)]) -> String {
    let reasons: Vec<String> = failed
        .iter()
        .map(|(peer, why)| format!("{peer} {why}"))
        .collect();
    reasons.join("; ")
}
