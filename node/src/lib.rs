//! The Hedgerow node: one swarm, its services, its doors.
//!
//! [`run`] is the whole program: it opens the [`home`], merges the [`config`], joins
//! the network and serves the control [`api`] until it is told to stop. It is run by
//! the program `node` and by `hedgerow node start`.
//!
//! Architecture invariant: this crate holds no algorithm. What decides is in the
//! protocol crates; here their behaviours meet one Swarm and their handles one API.

mod aliases;
pub mod api;
mod archive_policy;
mod archiving;
pub mod config;
mod content;
mod expecting;
mod following;
pub mod home;
mod key;
mod local_blocks;
mod logging;
mod mailbox;
pub mod network;
mod node_blocks;
mod options;
pub mod ports;
mod provided;
pub mod readiness;
pub mod remembered;
mod run;
pub mod s3;
pub mod start_failure;
pub mod stores;
mod web_cache;

pub use key::guid_of_text;
pub use logging::init as init_logging;
pub use options::StartOptions;
pub use run::{Node, run};

/// Name and version the node tells its peers.
pub const AGENT: &str = concat!("hedgerow/", env!("CARGO_PKG_VERSION"));

/// jemalloc's settings for the programs that run a node, ended by a zero as C wants:
/// freed memory goes back to the system within a second, by a background thread, and
/// a small number of arenas keeps a node with many threads small.
pub const MALLOC_CONF: &[u8; 70] =
    b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,narenas:4\0";
