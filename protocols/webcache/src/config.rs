//! Settings of the proxy.

use std::{io, path::Path, sync::Arc, time::Duration};

use crate::{Authority, Roots};

/// Room that is taken unless a person says otherwise: at most this.
const MOST_ROOM: u64 = 10 * 1024 * 1024 * 1024;

/// Settings of a proxy.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it calls itself in `Via` and `Cache-Status`: a token of RFC 9110.
    pub name: String,
    /// Connections of clients at a time, and fewer where the process may have few files open.
    /// Those without a request give way to further ones.
    pub max_connections: usize,
    /// Connections that wait for a place; further ones are refused.
    pub max_waiting: usize,
    /// How long they wait before they are refused.
    pub place_timeout: Duration,
    /// How long a client may take for the head of a request, and be idle between two.
    pub header_timeout: Duration,
    /// How long nothing may move while a client takes its answer, or an origin sends one.
    pub stall_timeout: Duration,
    /// How long a connection to an origin may take.
    pub connect_timeout: Duration,
    /// How long an origin may take to begin its answer.
    pub answer_timeout: Duration,
    /// Whether only what is in the store is given, however old, and no origin is asked.
    pub offline: bool,
    /// Who vouches for origins of `https`.
    pub roots: Roots,
    /// Hosts, with their ports if these do not go without saying, whose index pages say which
    /// files of theirs are right, besides the public registries.
    pub registries: Vec<String>,
    /// Who vouches here for the hosts whose `https` is read and kept; `None` reads nobody's.
    pub authority: Option<Arc<Authority>>,
    /// How long a client may take to begin TLS of such a host.
    pub handshake_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            name: "hedgerow".to_owned(),
            max_connections: 1024,
            max_waiting: 1024,
            place_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(60),
            offline: false,
            roots: Roots::default(),
            registries: Vec::new(),
            authority: None,
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// A tenth of what is free on the disk of a folder, and 10 GiB at most.
///
/// # Errors
/// When the system does not say.
pub fn default_room(folder: &Path) -> io::Result<u64> {
    Ok((free(folder)? / 10).min(MOST_ROOM))
}

/// Bytes that are free on the disk of a folder.
pub(crate) fn free(folder: &Path) -> io::Result<u64> {
    let disk = nix::sys::statvfs::statvfs(folder)?;
    let blocks = disk.blocks_available();
    Ok(blocks.saturating_mul(disk.fragment_size()))
}
