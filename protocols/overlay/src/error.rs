//! How a command ends when it does not succeed.

use overlay_core::RouteFailure;

/// Why a message was not delivered, or not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Nothing came back in time.
    #[error("the overlay did not answer in time")]
    Timeout,
    /// The application at the key's root would not answer, and this is why.
    #[error("the key's root refused: {0}")]
    Refused(String),
    /// The root's application has more to do than it can queue.
    #[error("the key's root is overloaded")]
    Overloaded,
    /// There is no such application at the holder of the object.
    #[error("nothing there takes such messages")]
    NoApplication,
    /// Every root of the object was asked, and no node publishes it.
    #[error("no node publishes this object")]
    NotFound,
    /// This node does not publish the object, or no longer.
    #[error("this node does not publish the object")]
    NotPublished,
    /// A bound was met.
    #[error(transparent)]
    Full(#[from] overlay_core::Full),
    /// The request cannot be carried, for instance because it is too large.
    #[error("{0}")]
    Invalid(String),
    /// More commands are under way than
    /// [`Config::max_pending`](crate::Config::max_pending).
    #[error("too many routed messages are under way")]
    Busy,
    /// This node has left the overlay.
    #[error("this node has left the overlay")]
    Left,
    /// The node has stopped.
    #[error("the overlay has stopped")]
    Stopped,
}

/// What a refusal says when the root's application has no room (O9).
pub(crate) const OVERLOADED: &str = "overloaded";

/// What a refusal says when the root has no such application (O9).
pub(crate) const NO_APPLICATION: &str = "no such application";

/// What a refusal says when the application dropped the request (O9).
pub(crate) const UNANSWERED: &str = "the application did not answer";

impl From<RouteFailure> for RouteError {
    fn from(failure: RouteFailure) -> Self {
        match failure {
            RouteFailure::TimedOut(_) => Self::Timeout,
            RouteFailure::Busy => Self::Busy,
            RouteFailure::Refused(why) if why == OVERLOADED => Self::Overloaded,
            RouteFailure::Refused(why) => Self::Refused(why),
            RouteFailure::Left => Self::Left,
            RouteFailure::NotFound => Self::NotFound,
            RouteFailure::NotPublished => Self::NotPublished,
            RouteFailure::Full(full) => Self::Full(full),
            RouteFailure::Invalid(why) => Self::Invalid(why),
        }
    }
}
