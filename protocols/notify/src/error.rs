//! Why nothing is followed.

use crate::handle::{MAX_FOLLOWED, MAX_SUBJECTS, MAX_WATCHERS};

/// Why a number of subjects is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// None, or more than one follower may name.
    #[error("1 to {MAX_SUBJECTS} are followed at a time")]
    Subjects,
    /// There are as many followers as there may be.
    #[error("{MAX_WATCHERS} followers are there already")]
    Watchers,
    /// The node follows as many subjects as it may.
    #[error("the node follows as much as it may: {MAX_FOLLOWED}")]
    Followed,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}
