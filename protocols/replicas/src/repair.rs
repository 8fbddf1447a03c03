//! Completes the copies of single items (R14).

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::sleep;
use wire::Limiter;

use crate::collection::{Collection, ItemId, StoreError};
use crate::config::BURST;
use crate::message::{Request, Response};
use crate::nearest;
use crate::place::move_to;
use crate::shared::Shared;

/// How often an item is tried before it is left to the next reconciliation.
const ATTEMPTS: usize = 3;

/// Works off the queue of items that miss a copy.
pub(crate) async fn run<C: Collection>(shared: Arc<Shared<C>>, mut queue: mpsc::Receiver<ItemId>) {
    let limiter = Limiter::new(shared.config.repair_bytes_per_second, BURST);
    while let Some(first) = queue.recv().await {
        // Whatever made the copy fail gets a little time to pass, and what is queued
        // meanwhile is tried together.
        sleep(shared.config.retry_after).await;
        let mut items = vec![first];
        while let Ok(next) = queue.try_recv() {
            items.push(next);
        }
        items.sort_unstable();
        items.dedup();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                sleep(shared.config.retry_after).await;
            }
            let mut left = Vec::new();
            for id in items {
                if !repair(&shared, &id, &limiter).await {
                    left.push(id);
                }
            }
            items = left;
            if items.is_empty() {
                break;
            }
        }
        shared.counters.repair_dropped.add(items.len() as u64);
    }
}

/// Sees that everybody in an item's replica set has it; whether all do now.
///
/// The item is fetched when it belongs here and is missing, and offered to each member
/// that does not have it.
pub(crate) async fn repair<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
    limiter: &Limiter,
) -> bool {
    let Some(key) = shared.collection.key_of(id) else {
        return true;
    };
    if !shared.collection.is_wanted(id).await {
        return true;
    }
    let Ok(set) = shared.replica_set(key, shared.config.replicas).await else {
        return false;
    };
    let me = shared.placement.me().peer;
    let version = match shared.collection.version(id).await {
        Ok(Some(version)) => version,
        Ok(None) => match restore(shared, id, limiter).await {
            Some(version) => version,
            None => return false,
        },
        Err(_) => return false,
    };
    let mut complete = true;
    for contact in set.iter().filter(|contact| contact.peer != me) {
        if shared.pool.is_avoided(contact.peer) {
            complete = false;
            continue;
        }
        let request = Request::Has { id: id.clone() };
        let held = match shared.pool.ask(contact, request, Bytes::new()).await {
            Ok(reply) => match reply.response {
                Response::Held { version } => version,
                _ => None,
            },
            Err(_) => {
                complete = false;
                continue;
            }
        };
        if held >= Some(version) {
            continue;
        }
        let item = match shared.collection.get(id).await {
            Ok(Some(item)) => item,
            Ok(None) => return false,
            Err(error) => {
                if matches!(error, StoreError::Corrupt(_)) {
                    shared.found_corrupt(id).await;
                }
                return false;
            }
        };
        limiter.take(item.len()).await;
        match move_to(shared, contact, id, item).await {
            Ok(()) => shared.counters.repair_pushed.one(),
            Err(_) => complete = false,
        }
    }
    complete
}

/// Brings back what should be here; its version when it came.
async fn restore<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
    limiter: &Limiter,
) -> Option<u64> {
    let (item, _) = nearest::fetch(shared, id).await.ok()?;
    limiter.take(item.len()).await;
    let stored = shared.collection.put_moved(id, item, true).await.ok()?;
    shared.counters.repair_pulled.one();
    Some(stored.version)
}
