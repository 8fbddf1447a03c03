//! Access keys: who may use the door (K15).

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use s3s::{
    S3Result,
    auth::{S3Auth, SecretKey},
    s3_error,
};
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;

use crate::home::{HomeError, write_atomically};

/// Keys at most: one for each program that uses the door.
pub(crate) const MAX_KEYS: usize = 64;

/// Longest name of a key, in bytes.
pub(crate) const MAX_LABEL: usize = 64;

/// Longest file that is read.
const MAX_FILE: u64 = 64 * 1024;

/// Random bytes in an access key's name and in its secret.
const ID_BYTES: usize = 10;
const SECRET_BYTES: usize = 30;

/// Why a key was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The name is no name.
    #[error("the name of a key has 1 to {MAX_LABEL} bytes and no control characters")]
    Label,
    /// There are too many.
    #[error("there are {MAX_KEYS} access keys, no more are kept")]
    TooMany,
    /// The file could not be written.
    #[error(transparent)]
    Home(#[from] HomeError),
}

/// An access key as it is kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKey {
    /// What a person calls it.
    pub(crate) label: String,
    /// The secret that signs.
    pub(crate) secret: String,
    /// When it was made, Unix seconds.
    pub(crate) created: u64,
}

/// The keys and the file they live in. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AccessKeys(Arc<Inner>);

struct Inner {
    file: PathBuf,
    known: RwLock<BTreeMap<String, AccessKey>>,
}

impl AccessKeys {
    /// Reads the file. What cannot be read is an error: programs would be locked out without
    /// a word.
    pub(crate) fn load(file: PathBuf) -> io::Result<Self> {
        let known = match std::fs::metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
            Ok(meta) if meta.len() > MAX_FILE => {
                return Err(io::Error::other("the list of access keys is too long"));
            }
            Ok(_) => serde_json::from_slice(&std::fs::read(&file)?).map_err(io::Error::other)?,
        };
        let known = RwLock::new(known);
        Ok(Self(Arc::new(Inner { file, known })))
    }

    /// Makes a key; its name and what is kept of it.
    pub(crate) async fn create(
        &self,
        label: &str,
        now: u64,
    ) -> Result<(String, AccessKey), KeyError> {
        if label.is_empty() || label.len() > MAX_LABEL || label.chars().any(char::is_control) {
            return Err(KeyError::Label);
        }
        let mut known = self.0.known.write().await;
        if known.len() >= MAX_KEYS {
            return Err(KeyError::TooMany);
        }
        let id = BASE32_NOPAD.encode(&rand::random::<[u8; ID_BYTES]>());
        let id = format!("HRGW{id}");
        let key = AccessKey {
            label: label.to_owned(),
            secret: BASE64URL_NOPAD.encode(&rand::random::<[u8; SECRET_BYTES]>()),
            created: now,
        };
        let mut new = known.clone();
        new.insert(id.clone(), key.clone());
        self.write(&new).await?;
        *known = new;
        Ok((id, key))
    }

    /// Forgets a key, by its access key; whether it was known.
    pub(crate) async fn remove(&self, id: &str) -> Result<bool, HomeError> {
        let mut known = self.0.known.write().await;
        let mut new = known.clone();
        if new.remove(id).is_none() {
            return Ok(false);
        }
        self.write(&new).await?;
        *known = new;
        Ok(true)
    }

    /// All of them, in order.
    pub(crate) async fn list(&self) -> Vec<(String, AccessKey)> {
        let known = self.0.known.read().await;
        known
            .iter()
            .map(|(id, key)| (id.clone(), key.clone()))
            .collect()
    }

    async fn write(&self, keys: &BTreeMap<String, AccessKey>) -> Result<(), HomeError> {
        let text = serde_json::to_vec_pretty(keys).expect("texts and numbers are JSON");
        let file = self.0.file.clone();
        let write = move || write_atomically(&file, &text, 0o600);
        let written = tokio::task::spawn_blocking(write).await;
        // The runtime is stopping, and the request with it.
        written.unwrap_or(Ok(()))
    }
}

#[async_trait::async_trait]
impl S3Auth for AccessKeys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let known = self.0.known.read().await;
        match known.get(access_key) {
            Some(key) => Ok(SecretKey::from(key.secret.as_str())),
            None => Err(s3_error!(
                InvalidAccessKeyId,
                "no access key of this node: see `hedgerow key s3 ls`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn keys_outlive_the_node_and_nobody_else_reads_them() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("s3.keys");
        let keys = AccessKeys::load(file.clone()).unwrap();
        let (id, key) = keys.create("laptop", 5).await.unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = AccessKeys::load(file.clone()).unwrap();
        assert_eq!(
            again.get_secret_key(&id).await.unwrap().expose(),
            key.secret
        );
        assert!(again.get_secret_key("HRGWNOBODY").await.is_err());
        assert!(again.remove(&id).await.unwrap());
        assert!(!again.remove(&id).await.unwrap());
        assert!(again.get_secret_key(&id).await.is_err());
        for label in ["", "a\nb", &"l".repeat(65)] {
            assert!(matches!(again.create(label, 5).await, Err(KeyError::Label)));
        }
        for _ in 0..MAX_KEYS {
            again.create("many", 5).await.unwrap();
        }
        let more = again.create("more", 5).await;
        assert!(matches!(more, Err(KeyError::TooMany)));
        std::fs::write(&file, "nonsense").unwrap();
        assert!(AccessKeys::load(file).is_err());
    }
}
