//! Keeps copies of what was got, and has them published (R17, R20).

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::collection::{Collection, ItemId};
use crate::shared::Shared;

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
    while let Some((id, item)) = queue.recv().await {
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
}
