//! What this node says in Kademlia that it has (C5 to C7 of `docs/specs/content.md`).

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use cid::Cid;
use parking_lot::Mutex;

use crate::{
    home::{HomeError, write_atomically},
    network::{Network, key_of_cid},
};

/// Objects that are provided at a time; the one added longest ago makes room. Each is told
/// to 20 peers twice a day, and is 64 bytes in the file.
pub(crate) const MAX_PROVIDED: usize = 4096;

/// Longest file that is read.
const MAX_FILE: u64 = 1024 * 1024;

/// The provided objects and the file they live in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Provided(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    network: Network,
    /// Oldest first.
    roots: Mutex<VecDeque<Cid>>,
    /// Held while the file is written, so that the newest list is what stays.
    writing: tokio::sync::Mutex<()>,
}

impl Provided {
    /// Reads the file, and has all of it announced once there is somebody to tell. A file that
    /// is missing or damaged counts as empty: its objects are there all the same.
    pub(crate) async fn load(file: PathBuf, network: Network) -> Self {
        let roots = read(&file).unwrap_or_else(|error| {
            tracing::warn!(file = %file.display(), %error, "the list of provided objects is not readable, starting without");
            VecDeque::new()
        });
        let keys = roots.iter().map(key_of_cid).collect();
        network.provide_all(keys).await;
        Self(Arc::new(Inner {
            file,
            network,
            roots: Mutex::new(roots),
            writing: tokio::sync::Mutex::default(),
        }))
    }

    /// Provides an object from now on; it is on the list when this returns.
    pub(crate) async fn add(&self, cid: Cid) -> Result<(), HomeError> {
        let dropped = {
            let mut roots = self.0.roots.lock();
            if roots.contains(&cid) {
                return Ok(());
            }
            roots.push_back(cid);
            match roots.len() > MAX_PROVIDED {
                true => roots.pop_front(),
                false => None,
            }
        };
        if let Some(dropped) = dropped {
            self.0.network.provide_no_more(key_of_cid(&dropped)).await;
        }
        self.0.network.provide_all(vec![key_of_cid(&cid)]).await;
        let written = self.write().await;
        if written.is_err() {
            // Else the next try would find it, and it would be gone after a restart.
            self.0.roots.lock().retain(|root| *root != cid);
            self.0.network.provide_no_more(key_of_cid(&cid)).await;
        }
        written
    }

    /// Provides it no more; whether it was. What others have heard expires within two days.
    pub(crate) async fn remove(&self, cid: &Cid) -> Result<bool, HomeError> {
        let was = {
            let mut roots = self.0.roots.lock();
            let before = roots.len();
            roots.retain(|root| root != cid);
            roots.len() < before
        };
        if was {
            self.0.network.provide_no_more(key_of_cid(cid)).await;
            self.write().await?;
        }
        Ok(was)
    }

    /// All of them, the one added last first.
    pub(crate) fn list(&self) -> Vec<Cid> {
        self.0.roots.lock().iter().rev().copied().collect()
    }

    async fn write(&self) -> Result<(), HomeError> {
        let _turn = self.0.writing.lock().await;
        let lines = self
            .0
            .roots
            .lock()
            .iter()
            .map(|cid| format!("{cid}\n"))
            .collect::<String>();
        let file = self.0.file.clone();
        let write = move || write_atomically(&file, lines.as_bytes(), 0o600);
        let written = tokio::task::spawn_blocking(write).await;
        // The runtime is stopping, and the list with it.
        written.unwrap_or(Ok(()))
    }
}

fn read(file: &Path) -> std::io::Result<VecDeque<Cid>> {
    let size = match std::fs::metadata(file) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(VecDeque::new()),
        Err(error) => return Err(error),
    };
    if size > MAX_FILE {
        return Err(std::io::Error::other("the file is too long"));
    }
    let text = std::fs::read_to_string(file)?;
    let cids: VecDeque<Cid> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let surplus = cids.len().saturating_sub(MAX_PROVIDED);
    Ok(cids.into_iter().skip(surplus).collect())
}
