//! What can be set.

use std::time::Duration;

/// Times of a [`Behaviour`](crate::Behaviour). The numbers of things are constants.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a connection and a stream with its negotiation may take together.
    pub open_timeout: Duration,
    /// How long a peer may send nothing at all before it says whether it has a block.
    pub have_timeout: Duration,
    /// How long a peer that owes blocks may send nothing at all.
    pub stall_timeout: Duration,
    /// How long a peer may take for one block, whatever else it sends.
    pub block_timeout: Duration,
    /// How long a peer that was left is asked for nothing.
    pub avoid_for: Duration,
    /// The same for one that could not be reached.
    pub retry_after: Duration,
    /// How long a peer may take nothing of what is written to it.
    pub write_timeout: Duration,
    /// How long a frame that has begun may take.
    pub read_timeout: Duration,
    /// How long a stream that is not needed is kept.
    pub idle_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            open_timeout: Duration::from_secs(10),
            have_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(5),
            block_timeout: Duration::from_secs(60),
            avoid_for: Duration::from_secs(60),
            retry_after: Duration::from_secs(5),
            write_timeout: Duration::from_secs(20),
            read_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(10),
        }
    }
}
