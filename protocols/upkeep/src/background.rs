//! What goes on by itself.

use std::collections::HashSet;
use std::time::Duration;

use cid::Cid;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use replicas::StoreError;
use tokio::time::{Instant, sleep, sleep_until};

use crate::collect::{self, How};
use crate::handle::Shared;
use crate::{claiming, pinning, removing, scrub};

/// Pins in work at a time (I4).
const AT_A_TIME: usize = 2;

/// How long after what was unpinned could not be forgotten.
const FORGET_AGAIN: Duration = Duration::from_secs(1);

/// Room is short as well where less than this can still be written, whatever the budget says, and
/// not any more where there is twice as much.
const SCARCE: u64 = 256 << 20;

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
        claiming::run(shared),
        removing::run(shared),
    );
}

/// What came to its end.
enum Done {
    Pin(Cid),
    /// A page of what was unpinned is forgotten.
    Forgotten(Result<bool, StoreError>),
}

/// Gets what is pinned, and forgets what was unpinned.
async fn keep_pins(shared: &Shared) {
    let mut working: FuturesUnordered<BoxFuture<'_, Done>> = FuturesUnordered::new();
    let mut busy: HashSet<Cid> = HashSet::new();
    let mut forgetting = false;
    loop {
        let mut again: Option<Instant> = None;
        let mut at = |time: Instant| again = Some(again.map_or(time, |first| first.min(time)));
        match shared
            .on_ledger(|ledger| Ok::<_, StoreError>((ledger.all()?, ledger.going()?)))
            .await
        {
            Ok((pins, going)) => {
                for (root, row) in pins {
                    if row.whole || busy.contains(&root) || busy.len() == AT_A_TIME {
                        continue;
                    }
                    let work = shared.working.borrow().get(&root).cloned();
                    let failed = work.filter(|work| work.failed.is_some());
                    match failed.map(|work| work.again) {
                        // It would fail again.
                        Some(None) => {}
                        Some(Some(until)) if until > Instant::now() => at(until),
                        _ => {
                            busy.insert(root);
                            working.push(Box::pin(async move {
                                pinning::get_all(shared, root, row).await;
                                Done::Pin(root)
                            }));
                        }
                    }
                }
                if let Some(number) = going.filter(|_| !forgetting) {
                    forgetting = true;
                    working.push(Box::pin(async move {
                        let more = shared.on_ledger(move |ledger| ledger.forget(number));
                        Done::Forgotten(more.await)
                    }));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the pins cannot be read");
                at(Instant::now() + shared.config.look_every);
            }
        }
        let pause = async {
            match again {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(done) = working.next() => match done {
                Done::Pin(root) => {
                    busy.remove(&root);
                    // Where it is not whole yet, it is gone through when it is.
                    if let Some(claiming) = &shared.claiming {
                        claiming.pinned();
                    }
                }
                Done::Forgotten(more) => {
                    forgetting = false;
                    if let Err(error) = more {
                        tracing::warn!(%error, "what was unpinned is still in the list");
                        // As when the disk is full: the next turn comes with the next change.
                        sleep(FORGET_AGAIN).await;
                    }
                }
            },
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
        if let Some(until) = short(shared).await {
            match collect::collect(shared, How::Until(until), &|_| ()).await {
                Ok(collected) => tracing::info!(
                    blocks = collected.gone,
                    bytes = collected.gone_bytes,
                    "room was short: copies were let go"
                ),
                Err(error) => tracing::warn!(%error, "room is short, and nothing was let go"),
            }
            if short(shared).await.is_some() {
                pause = shared.config.again_after;
                tracing::warn!(
                    "the store is nearly full of what others count on and what is pinned: raise store.max_mib, unpin something, or start another node"
                );
            }
        }
        sleep(pause).await;
    }
}

/// How many bytes may be left, where room is short (I2).
async fn short(shared: &Shared) -> Option<u64> {
    let store = shared.blocks.store();
    let (usage, room) = (store.usage(), store.room().await);
    let quota = usage.quota.unwrap_or(u64::MAX);
    let by_budget = (usage.bytes >= quota / 10 * SHORT).then_some(quota / 10 * ENOUGH);
    // A budget smaller than that says itself when it is short.
    let scarce = SCARCE.min(quota / 10);
    let by_disk = match room {
        Ok(Some(room)) if room < scarce => Some(usage.bytes.saturating_sub(2 * scarce - room)),
        _ => None,
    };
    by_budget.into_iter().chain(by_disk).min()
}
