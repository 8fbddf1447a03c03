//! The stores in the home.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use guid::Guid;

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
        .with_context(|| format!("block store {}", path.display()))?;
    let path = root.join("records");
    let at = path.clone();
    let open = move || {
        std::fs::create_dir_all(&at).map_err(anyhow::Error::from)?;
        let clock = Arc::new(dht::SystemClock);
        Ok::<_, anyhow::Error>(dht::FjallRecords::open(
            &at,
            own,
            dht::Limits::default(),
            clock,
        )?)
    };
    let records = tokio::task::spawn_blocking(open)
        .await?
        .with_context(|| format!("record store {}", path.display()))?;
    Ok(Stores {
        blocks: Arc::new(blocks),
        records: Arc::new(records),
    })
}
