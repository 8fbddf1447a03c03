//! What goes on by itself.

use std::collections::HashSet;

use cid::Cid;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep, sleep_until};

use crate::collect::{self, How};
use crate::handle::Shared;
use crate::{pinning, scrub};

/// Pins in work at a time (I4).
const AT_A_TIME: usize = 2;

/// Tenths of the budget from which on room is short, and below which it is not any more (I2).
const SHORT: u64 = 8;
const ENOUGH: u64 = 7;

/// Never returns.
pub(crate) async fn run(shared: &Shared) {
    tokio::join!(
        keep_pins(shared),
        keep_room(shared),
        scrub::run(shared),
        collect::go_on(shared),
    );
}

/// Gets what is pinned, and forgets what was unpinned.
async fn keep_pins(shared: &Shared) {
    let mut getting = FuturesUnordered::new();
    let mut busy: HashSet<Cid> = HashSet::new();
    loop {
        let all = shared.on_ledger(|ledger| ledger.all()).await;
        let all = all.unwrap_or_else(|error| {
            tracing::warn!(%error, "the pins cannot be read");
            Vec::new()
        });
        let mut again: Option<Instant> = None;
        for (root, row) in all {
            if busy.contains(&root) || busy.len() == AT_A_TIME {
                continue;
            }
            if row.removed {
                let number = row.number;
                let forgotten = shared.on_ledger(move |ledger| ledger.forget(&root, number));
                if let Err(error) = forgotten.await {
                    tracing::warn!(%root, %error, "what was unpinned is still in the list");
                }
                continue;
            }
            if row.whole {
                continue;
            }
            let waits = shared
                .working
                .borrow()
                .get(&root)
                .and_then(|work| work.again);
            match waits.filter(|until| *until > Instant::now()) {
                Some(until) => again = Some(again.map_or(until, |first| first.min(until))),
                None => {
                    busy.insert(root);
                    getting.push(async move {
                        pinning::get_all(shared, root, row).await;
                        root
                    });
                }
            }
        }
        let pause = async {
            match again {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(root) = getting.next() => {
                busy.remove(&root);
            }
            // A pin that was added, tried again or removed.
            () = shared.pins_changed.notified() => {}
            () = pause => {}
        }
    }
}

/// Makes room where it is short.
async fn keep_room(shared: &Shared) {
    loop {
        let mut pause = shared.config.look_every;
        let usage = shared.blocks.store().usage();
        if let Some(quota) = usage.quota
            && is_short(usage.bytes, quota)
        {
            let until = How::Until(quota / 10 * ENOUGH);
            match collect::collect(shared, until, &|_| ()).await {
                Ok(collected) => tracing::info!(
                    blocks = collected.gone,
                    bytes = collected.gone_bytes,
                    "room was short: copies were let go"
                ),
                Err(error) => tracing::warn!(%error, "room is short, and nothing was let go"),
            }
            if is_short(shared.blocks.store().usage().bytes, quota) {
                pause = shared.config.again_after;
                tracing::warn!(
                    "the store is nearly full of what others count on and what is pinned: raise store.max_mib, unpin something, or start another node"
                );
            }
        }
        sleep(pause).await;
    }
}

fn is_short(bytes: u64, quota: u64) -> bool {
    bytes >= quota / 10 * SHORT
}
