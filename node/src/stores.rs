//! The stores in the home.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use guid::Guid;
use replicas::StoreError;
use tokio::time::{Instant, sleep};

use crate::config;

/// How long the tasks of a node that has stopped may hold its stores.
const LET_GO: Duration = Duration::from_secs(10);

/// How often to look whether they have let go.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

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
    pub(crate) heads: Arc<dyn objects::HeadStore>,
    pub(crate) claims: Arc<dyn claims::Store>,
    pub(crate) fragments: Arc<dyn archive::Store>,
    pub(crate) manifests: Arc<dyn archive::Store>,
    pub(crate) ledger: upkeep::Ledger,
}

/// Opens or makes the stores below `root`, for the node with the GUID `own`.
pub(crate) async fn open(
    root: PathBuf,
    own: Guid,
    kept: &config::Store,
    archived: &config::Archive,
) -> anyhow::Result<Stores> {
    let path = root.join("blocks");
    tokio::fs::create_dir_all(&path)
        .await
        .with_context(|| path.display().to_string())?;
    let budget = kept
        .budget(&path)
        .map_err(|error| not_opened(&path, error))?;
    let options = blocks::FjallOptions {
        quota: Some(budget),
        ..blocks::FjallOptions::default()
    };
    let open = || blocks::FjallStore::open(&path, options);
    let blocks = once_free(open)
        .await
        .map_err(|error| not_opened(&path, error))?;
    let records = open_in(&root, "records", move |at| {
        let clock = Arc::new(dht::SystemClock);
        dht::FjallRecords::open(at, own, dht::Limits::default(), clock)
    });
    let records = records.await?;
    let heads = open_in(&root, "objects", move |at| {
        objects::FjallHeads::open(at, own, objects::Limits::default())
    });
    let heads = heads.await?;
    let claims = open_in(&root, "claims", |at| {
        let clock = Arc::new(claims::SystemClock);
        claims::FjallClaims::open(at, claims::Limits::default(), clock)
    });
    let claims = claims.await?;
    let limits = (archived.fragments(own), archived.manifests(own));
    let archive = open_in(&root, "archive", move |at| {
        archive::open(at, limits.0, limits.1)
    });
    let (fragments, manifests) = archive.await?;
    let ledger = open_in(&root, "upkeep", upkeep::Ledger::open).await?;
    Ok(Stores {
        ledger,
        blocks: Arc::new(blocks),
        records: Arc::new(records),
        heads: Arc::new(heads),
        claims: Arc::new(claims),
        fragments: Arc::new(fragments),
        manifests: Arc::new(manifests),
    })
}

/// Opens or makes the store in the folder `name` below `root`, where it may block.
async fn open_in<T: Send + 'static>(
    root: &Path,
    name: &str,
    open: impl Fn(&Path) -> Result<T, StoreError> + Clone + Send + 'static,
) -> anyhow::Result<T> {
    let path = root.join(name);
    tokio::fs::create_dir_all(&path)
        .await
        .with_context(|| path.display().to_string())?;
    let open = || {
        let (open, at) = (open.clone(), path.clone());
        async move {
            tokio::task::spawn_blocking(move || open(&at))
                .await
                .map_err(|_| StoreError::Closed)?
        }
    };
    once_free(open)
        .await
        .map_err(|error| not_opened(&path, error))
}

/// Opens or makes the cache in `directory`, with room for `max_mib` MiB; without room it is
/// removed. A cache that cannot be opened is done without.
pub(crate) async fn open_cache(directory: PathBuf, max_mib: u32) -> Option<Arc<blocks::Cache>> {
    let limit = u64::from(max_mib) << 20;
    let path = directory.clone();
    let open = move || match limit {
        0 => match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(None),
        },
        _ => blocks::Cache::open(path, limit, blocks::LEAVES_FREE).map(Some),
    };
    match tokio::task::spawn_blocking(open).await {
        Ok(Ok(cache)) => cache.map(Arc::new),
        Ok(Err(error)) => {
            tracing::warn!(directory = %directory.display(), %error, "nothing is cached");
            None
        }
        Err(_) => None,
    }
}

/// Opens a store that a node which has just stopped may still be letting go of: this node
/// holds the home's lock, so nobody else has the store for long.
async fn once_free<T, F>(open: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let deadline = Instant::now() + LET_GO;
    loop {
        match open().await {
            // The lock tells nobody when it is released.
            Err(StoreError::Locked) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
            outcome => return outcome,
        }
    }
}

fn not_opened(path: &Path, error: StoreError) -> anyhow::Error {
    match error {
        StoreError::Corrupt(reason) => DamagedStore {
            path: path.to_owned(),
            reason,
        }
        .into(),
        error => anyhow::Error::new(error).context(format!("store {}", path.display())),
    }
}
