//! Keeps copies of what was got, and has them published (R17, R20).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::collection::{Collection, ItemId};
use crate::shared::Shared;

/// How long an item waits before it is kept: longer than it takes to hand it to a reader.
const LATER: Duration = Duration::from_millis(10);

/// Keeps what is queued, one item after the other, so that what makes room for another is
/// never published after it has gone; and publishes meanwhile.
pub(crate) async fn run<C: Collection>(
    shared: Arc<Shared<C>>,
    queue: mpsc::Receiver<(ItemId, Bytes)>,
) {
    if let Some(copies) = &shared.copies {
        let before = shared.collection.cached(shared.config.published).await;
        for id in before.iter().rev() {
            copies.used(id);
        }
    }
    let publishing = async {
        match &shared.copies {
            Some(copies) => copies.run(&shared.counters).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = keep(&shared, queue) => {}
        () = publishing => {}
    }
}

async fn keep<C: Collection>(shared: &Arc<Shared<C>>, mut queue: mpsc::Receiver<(ItemId, Bytes)>) {
    while let Some(first) = queue.recv().await {
        // Whoever reads an item is served before it is kept.
        sleep(LATER).await;
        keep_one(shared, first).await;
        while let Ok(next) = queue.try_recv() {
            keep_one(shared, next).await;
        }
    }
}

async fn keep_one<C: Collection>(shared: &Arc<Shared<C>>, (id, item): (ItemId, Bytes)) {
    let cached = shared.collection.cache(&id, item).await;
    for dropped in &cached.dropped {
        shared.lost(dropped);
    }
    if cached.kept
        && let Some(copies) = &shared.copies
    {
        copies.used(&id);
    }
}
