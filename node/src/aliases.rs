//! This node's names for other people's keys (J18 of `docs/specs/objects.md`).

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc};

use libp2p::PeerId;
use tokio::sync::Mutex;

use crate::home::{HomeError, write_atomically};

/// Aliases at most: more than anybody remembers.
pub(crate) const MAX_ALIASES: usize = 1024;

/// Longest file that is read: each line has an alias of 64 bytes and a PeerId of 128.
const MAX_FILE: u64 = 256 * 1024;

/// Why an alias was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AliasError {
    /// It is no word for an alias.
    #[error("{0:?} is no alias: 1 to {max} letters, digits, `-`, `_` and `.`, and neither `me` nor `hedgerow`", max = objects::MAX_ALIAS)]
    Malformed(String),
    /// The PeerId does not hold the key.
    #[error(transparent)]
    NoKey(objects::ReferenceError),
    /// There are too many.
    #[error("there are {MAX_ALIASES} aliases, no more are kept")]
    TooMany,
    /// The file could not be written.
    #[error(transparent)]
    Home(#[from] HomeError),
}

/// The aliases and the file they live in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Aliases(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    known: Mutex<BTreeMap<String, PeerId>>,
}

impl Aliases {
    /// Reads the file: a line for each, the alias and the PeerId. What cannot be read is an
    /// error, since a person wrote it and would miss it.
    pub(crate) fn load(file: PathBuf) -> io::Result<Self> {
        let known = match std::fs::metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
            Ok(meta) if meta.len() > MAX_FILE => {
                return Err(io::Error::other("the list of aliases is too long"));
            }
            Ok(_) => read(&std::fs::read_to_string(&file)?)?,
        };
        let known = Mutex::new(known);
        Ok(Self(Arc::new(Inner { file, known })))
    }

    /// Calls the key of `peer` so from now on, also after the next start.
    pub(crate) async fn add(&self, alias: &str, peer: PeerId) -> Result<(), AliasError> {
        if !objects::is_alias(alias) {
            return Err(AliasError::Malformed(alias.to_owned()));
        }
        objects::key_of_peer(&peer).map_err(AliasError::NoKey)?;
        let mut known = self.0.known.lock().await;
        if known.len() >= MAX_ALIASES && !known.contains_key(alias) {
            return Err(AliasError::TooMany);
        }
        let mut new = known.clone();
        new.insert(alias.to_owned(), peer);
        self.write(&new).await?;
        *known = new;
        Ok(())
    }

    /// Forgets an alias; whether it was known.
    pub(crate) async fn remove(&self, alias: &str) -> Result<bool, HomeError> {
        let mut known = self.0.known.lock().await;
        let mut new = known.clone();
        if new.remove(alias).is_none() {
            return Ok(false);
        }
        self.write(&new).await?;
        *known = new;
        Ok(true)
    }

    /// Whose key is called so.
    pub(crate) async fn get(&self, alias: &str) -> Option<PeerId> {
        self.0.known.lock().await.get(alias).copied()
    }

    /// What a key is called, if it has an alias.
    pub(crate) async fn of(&self, peer: &PeerId) -> Option<String> {
        let known = self.0.known.lock().await;
        let found = known.iter().find(|(_, known)| *known == peer);
        found.map(|(alias, _)| alias.clone())
    }

    /// All of them, in order.
    pub(crate) async fn list(&self) -> Vec<(String, PeerId)> {
        let known = self.0.known.lock().await;
        known.iter().map(|(a, p)| (a.clone(), *p)).collect()
    }

    async fn write(&self, aliases: &BTreeMap<String, PeerId>) -> Result<(), HomeError> {
        let line = |(alias, peer): (&String, &PeerId)| format!("{alias} {peer}\n");
        let text: String = aliases.iter().map(line).collect();
        let file = self.0.file.clone();
        let write = move || write_atomically(&file, text.as_bytes(), 0o600);
        let written = tokio::task::spawn_blocking(write).await;
        // The runtime is stopping, and the request with it.
        written.unwrap_or(Ok(()))
    }
}

fn read(text: &str) -> io::Result<BTreeMap<String, PeerId>> {
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| {
            let words = line.split_once(' ');
            let read = words.and_then(|(alias, peer)| {
                let peer = peer.trim().parse().ok()?;
                objects::is_alias(alias).then(|| (alias.to_owned(), peer))
            });
            let place = at + 1;
            read.ok_or_else(|| {
                io::Error::other(format!("line {place} is not an alias and a PeerId"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn aliases_outlive_the_node() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("aliases");
        let key = libp2p::identity::Keypair::ed25519_from_bytes([3; 32]).unwrap();
        let peer = key.public().to_peer_id();
        let aliases = Aliases::load(file.clone()).unwrap();
        aliases.add("bob", peer).await.unwrap();
        let again = Aliases::load(file.clone()).unwrap();
        assert_eq!(again.list().await, [("bob".to_owned(), peer)]);
        assert_eq!(again.of(&peer).await.as_deref(), Some("bob"));
        assert!(again.remove("bob").await.unwrap());
        assert!(!again.remove("bob").await.unwrap());
        for word in ["me", "hedgerow", "", "a b", "a:b", "a/b"] {
            let added = again.add(word, peer).await;
            assert!(matches!(added, Err(AliasError::Malformed(_))), "{word}");
        }
        // A PeerId that is a hash.
        let hashed = PeerId::random();
        if objects::key_of_peer(&hashed).is_err() {
            let added = again.add("eve", hashed).await;
            assert!(matches!(added, Err(AliasError::NoKey(_))));
        }
        std::fs::write(&file, "bob nobody\n").unwrap();
        assert!(Aliases::load(file).is_err());
    }
}
