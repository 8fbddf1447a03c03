//! Which names are archived by themselves (H27 of `docs/specs/archive.md`).

use std::{collections::BTreeSet, io, path::PathBuf, sync::Arc};

use tokio::sync::{Mutex, watch};

use crate::home::{HomeError, write_atomically};

/// Prefixes at most.
pub(crate) const MAX_PREFIXES: usize = 256;

/// Longest file that is read: each line has the longest name there is.
const MAX_FILE: u64 = 2 * 1024 * 1024;

/// Why a prefix was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    /// No name begins so.
    #[error("no name begins with {0:?}: {1}")]
    Malformed(String, objects::NameError),
    /// There are too many.
    #[error("{MAX_PREFIXES} prefixes are archived, no more are kept")]
    TooMany,
    /// The file could not be written.
    #[error(transparent)]
    Home(#[from] HomeError),
}

/// The prefixes and the file they live in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ArchivePolicy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    prefixes: watch::Sender<BTreeSet<String>>,
    /// Held while the file is written, so that it has what is in force.
    writing: Mutex<()>,
}

impl ArchivePolicy {
    /// Reads the file, a prefix a line. What cannot be read is an error, since a person wrote it
    /// and would miss it.
    pub(crate) fn load(file: PathBuf) -> io::Result<Self> {
        let prefixes = match std::fs::metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
            Ok(meta) if meta.len() > MAX_FILE => {
                return Err(io::Error::other("the list of prefixes is too long"));
            }
            Ok(_) => {
                let text = std::fs::read_to_string(&file)?;
                text.lines().map(str::to_owned).collect()
            }
        };
        Ok(Self(Arc::new(Inner {
            file,
            prefixes: watch::Sender::new(prefixes),
            writing: Mutex::default(),
        })))
    }

    /// Names that begin so are archived from now on, also after the next start.
    pub(crate) async fn add(&self, prefix: &str) -> Result<(), PolicyError> {
        let prefix = objects::prefix(prefix)
            .map_err(|error| PolicyError::Malformed(prefix.to_owned(), error))?;
        let _turn = self.0.writing.lock().await;
        let mut new = self.list();
        if !new.insert(prefix) {
            return Ok(());
        }
        if new.len() > MAX_PREFIXES {
            return Err(PolicyError::TooMany);
        }
        Ok(self.write(new).await?)
    }

    /// They are not any more; whether they were. What is archived stays.
    pub(crate) async fn remove(&self, prefix: &str) -> Result<bool, HomeError> {
        // One that is malformed was never kept.
        let Ok(prefix) = objects::prefix(prefix) else {
            return Ok(false);
        };
        let _turn = self.0.writing.lock().await;
        let mut new = self.list();
        if !new.remove(&prefix) {
            return Ok(false);
        }
        self.write(new).await?;
        Ok(true)
    }

    /// All of them, in order.
    pub(crate) fn list(&self) -> BTreeSet<String> {
        self.0.prefixes.borrow().clone()
    }

    /// Whether a name is archived.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let prefixes = self.0.prefixes.borrow();
        !name.is_empty() && prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    /// Tells when they change.
    pub(crate) fn changes(&self) -> watch::Receiver<BTreeSet<String>> {
        self.0.prefixes.subscribe()
    }

    async fn write(&self, prefixes: BTreeSet<String>) -> Result<(), HomeError> {
        let text: String = prefixes
            .iter()
            .map(|prefix| format!("{prefix}\n"))
            .collect();
        let file = self.0.file.clone();
        let write = move || write_atomically(&file, text.as_bytes(), 0o600);
        // The runtime is stopping, and the request with it.
        let written = tokio::task::spawn_blocking(write).await.unwrap_or(Ok(()));
        written?;
        self.0.prefixes.send_replace(prefixes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn prefixes_outlive_the_node() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("archive.prefixes");
        let policy = ArchivePolicy::load(file.clone()).unwrap();
        assert!(!policy.covers("photos/cat.jpg"));
        policy.add("photos/").await.unwrap();
        policy.add("photos/").await.unwrap();
        // Typed as two characters, as some systems do; kept as the one that names have.
        policy.add("cafe\u{301}").await.unwrap();
        let again = ArchivePolicy::load(file.clone()).unwrap();
        assert!(again.covers("photos/cat.jpg"));
        assert!(again.covers("caf\u{e9}/menu"));
        assert!(!again.covers("photo"));
        assert!(!again.covers(""));
        assert!(again.remove("photos/").await.unwrap());
        assert!(!again.remove("photos/").await.unwrap());
        assert!(!again.covers("photos/cat.jpg"));
        for prefix in ["a//b", "a\nb", "/a", "../a", &"a".repeat(5000)] {
            let added = again.add(prefix).await;
            assert!(matches!(added, Err(PolicyError::Malformed(..))), "{prefix}");
        }
    }

    #[tokio::test]
    async fn an_empty_prefix_is_all_names_and_there_are_only_so_many() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("archive.prefixes");
        let policy = ArchivePolicy::load(file.clone()).unwrap();
        policy.add("").await.unwrap();
        let again = ArchivePolicy::load(file).unwrap();
        assert!(again.covers("whatever"));
        assert!(!again.covers(""), "the list of names is none");
        for number in 1..MAX_PREFIXES {
            again.add(&number.to_string()).await.unwrap();
        }
        let added = again.add("one more").await;
        assert!(matches!(added, Err(PolicyError::TooMany)));
        assert_eq!(again.list().len(), MAX_PREFIXES);
    }
}
