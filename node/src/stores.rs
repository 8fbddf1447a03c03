//! The stores in the home.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use guid::Guid;

/// A store that cannot be read any more.
#[derive(Debug, thiserror::Error)]
#[error("the store in {} is damaged: {reason}", path.display())]
pub struct DamagedStore {
    /// The directory of the store.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// The opened stores.
pub(crate) struct Stores {
    pub(crate) blocks: Arc<dyn blocks::Store>,
    pub(crate) records: Arc<dyn dht::RecordStore>,
}

/// Opens or makes both stores below `root`, for the node with the GUID `own`.
pub(crate) async fn open(root: PathBuf, own: Guid) -> anyhow::Result<Stores> {
    let path = root.join("blocks");
    tokio::fs::create_dir_all(&path)
        .await
        .with_context(|| path.display().to_string())?;
    let blocks = blocks::FjallStore::open(&path, blocks::FjallOptions::default())
        .await
        .map_err(|error| not_opened(&path, error))?;
    let path = root.join("records");
    let at = path.clone();
    let open = move || {
        std::fs::create_dir_all(&at).with_context(|| at.display().to_string())?;
        let clock = Arc::new(dht::SystemClock);
        dht::FjallRecords::open(&at, own, dht::Limits::default(), clock)
            .map_err(|error| not_opened(&at, error))
    };
    let records = tokio::task::spawn_blocking(open).await??;
    Ok(Stores {
        blocks: Arc::new(blocks),
        records: Arc::new(records),
    })
}

fn not_opened(path: &Path, error: replicas::StoreError) -> anyhow::Error {
    match error {
        replicas::StoreError::Corrupt(reason) => DamagedStore {
            path: path.to_owned(),
            reason,
        }
        .into(),
        error => anyhow::Error::new(error).context(format!("store {}", path.display())),
    }
}
