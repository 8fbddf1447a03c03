//! Peers remembered on disk, so that a node finds its network again without mDNS.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Serialize};

use crate::home::{HomeError, write_atomically};

/// Peers kept: several times a leaf set and a routing table's first row, so that
/// some are still there after a long absence.
pub const MAX_PEERS: usize = 256;

/// Addresses kept for a peer: TCP and QUIC on a few interfaces, both families.
pub const MAX_ADDRS: usize = 8;

/// Peers offered to the overlay of a node that is alone; one that answers is enough to join.
pub const OFFERED: usize = 32;

/// Longest file that is read; [`MAX_PEERS`] entries stay far below.
const MAX_FILE: u64 = 1024 * 1024;

/// How long a peer is remembered after it was last seen.
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// One remembered peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Who.
    pub peer: PeerId,
    /// Where it was last reached or said to be, best first.
    pub addrs: Vec<Multiaddr>,
    /// When it was last connected, in seconds since 1970.
    pub seen: u64,
}

/// The remembered peers and the file they live in.
#[derive(Debug)]
pub struct RememberedPeers {
    file: PathBuf,
    peers: BTreeMap<PeerId, Remembered>,
    changed: bool,
}

impl RememberedPeers {
    /// Reads the file; one that is missing or damaged counts as empty, for nothing
    /// in it is needed to run.
    pub fn load(file: PathBuf) -> Self {
        let peers = read(&file).unwrap_or_else(|error| {
            tracing::warn!(file = %file.display(), %error, "remembered peers not readable, starting without");
            Vec::new()
        });
        let oldest = now().saturating_sub(MAX_AGE.as_secs());
        let peers = peers
            .into_iter()
            .filter(|peer| peer.seen >= oldest)
            .map(|mut peer| {
                peer.addrs.truncate(MAX_ADDRS);
                (peer.peer, peer)
            })
            .collect();
        let mut remembered = Self {
            file,
            peers,
            changed: false,
        };
        remembered.forget_surplus();
        remembered
    }

    /// Notes that `peer` is connected now and may be reached at `addrs`.
    pub fn seen(&mut self, peer: PeerId, addrs: impl IntoIterator<Item = Multiaddr>) {
        let mut addrs: Vec<_> = addrs.into_iter().take(MAX_ADDRS).collect();
        let entry = self.peers.entry(peer).or_insert_with(|| Remembered {
            peer,
            addrs: Vec::new(),
            seen: 0,
        });
        entry.seen = now();
        for old in std::mem::take(&mut entry.addrs) {
            if addrs.len() < MAX_ADDRS && !addrs.contains(&old) {
                addrs.push(old);
            }
        }
        entry.addrs = addrs;
        self.changed = true;
        self.forget_surplus();
    }

    /// The peers seen last, newest first.
    pub fn newest(&self, count: usize) -> Vec<Remembered> {
        let mut peers: Vec<_> = self.peers.values().cloned().collect();
        peers.sort_by_key(|peer| std::cmp::Reverse(peer.seen));
        peers.truncate(count);
        peers
    }

    /// What to write now: `None` when nothing changed since the last time.
    /// Writing syncs the disk, so callers do it on a thread where that may take its time.
    pub fn take_changes(
        &mut self,
    ) -> Option<impl FnOnce() -> Result<(), HomeError> + Send + 'static> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let file = self.file.clone();
        let peers: Vec<_> = self.peers.values().cloned().collect();
        Some(move || {
            let text = serde_json::to_vec_pretty(&peers).expect("peers are plain data");
            write_atomically(&file, &text, 0o600)
        })
    }

    fn forget_surplus(&mut self) {
        while self.peers.len() > MAX_PEERS {
            let oldest = self
                .peers
                .values()
                .min_by_key(|peer| peer.seen)
                .map(|peer| peer.peer);
            let Some(oldest) = oldest else { return };
            self.peers.remove(&oldest);
        }
    }
}

fn read(file: &Path) -> std::io::Result<Vec<Remembered>> {
    let length = match std::fs::metadata(file) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if length > MAX_FILE {
        return Err(std::io::Error::other(format!(
            "{length} bytes, at most {MAX_FILE} are expected"
        )));
    }
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_restart_and_stays_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("peers.json");
        let mut peers = RememberedPeers::load(file.clone());
        let known = PeerId::random();
        for _ in 0..MAX_PEERS + 10 {
            peers.seen(
                PeerId::random(),
                ["/ip4/10.0.0.1/tcp/4747".parse().unwrap()],
            );
        }
        peers.seen(known, ["/ip4/10.0.0.2/tcp/4747".parse().unwrap()]);
        peers.take_changes().unwrap()().unwrap();
        assert!(peers.take_changes().is_none());

        let again = RememberedPeers::load(file);
        assert_eq!(again.peers.len(), MAX_PEERS);
        assert_eq!(again.newest(OFFERED).len(), OFFERED);
    }

    #[test]
    fn a_damaged_file_counts_as_empty() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("peers.json");
        std::fs::write(&file, b"[{\"peer\": \"garbage").unwrap();
        assert!(RememberedPeers::load(file).newest(1).is_empty());
    }
}
