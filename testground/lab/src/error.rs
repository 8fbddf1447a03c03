//! What can go wrong in a lab.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// An operation of the lab failed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// This machine cannot run a lab; the text is one line and says why.
    #[error("no lab on this machine: {0}")]
    Unavailable(String),
    /// A tool (`ip`, `unshare`, `nsenter`) is missing or could not be started.
    #[error("cannot run {tool}")]
    Tool {
        /// Name of the tool.
        tool: String,
        /// Why it could not be started.
        #[source]
        source: io::Error,
    },
    /// `ip` or another tool refused what it was told about a node's network.
    #[error("{tool} refused: {stderr}")]
    Network {
        /// Name of the tool.
        tool: String,
        /// What it wrote to its standard error.
        stderr: String,
    },
    /// The switch refused an order, or is gone.
    #[error("the switch: {0}")]
    Switch(String),
    /// A file of the lab could not be made, read or written.
    #[error("cannot {action}")]
    File {
        /// What was being done, with the path.
        action: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The builder was given something it cannot build.
    #[error("invalid lab: {0}")]
    Invalid(String),
    /// The node has no running process.
    #[error("node {0} is not running")]
    NotRunning(usize),
    /// The node has a running process already.
    #[error("node {0} is already running")]
    AlreadyRunning(usize),
    /// The process ended while something was still expected of it.
    #[error("{label} ended ({status}) while waiting for {what}\n{tail}")]
    Ended {
        /// Which process.
        label: String,
        /// How it ended.
        status: ExitStatus,
        /// What was waited for.
        what: String,
        /// The last lines of its output.
        tail: String,
    },
    /// The process did not do in time what was expected of it.
    #[error("{label}: no {what} within {within:?}\n{tail}")]
    Timeout {
        /// Which process.
        label: String,
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// The last lines of its output.
        tail: String,
    },
}

impl LabError {
    pub(crate) fn file(action: impl Into<String>, source: io::Error) -> LabError {
        LabError::File {
            action: action.into(),
            source,
        }
    }
}
