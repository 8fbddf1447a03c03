//! Reads every block now and then (I11).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cid::Cid;
use guid::Span;
use replicas::StoreError;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use wire::Limiter;

use crate::handle::Shared;
use crate::ledger::Place;

/// Blocks read before the place is written down.
const PAGE: usize = 64;

/// What may be read at once after a pause.
const BURST: Duration = Duration::from_secs(1);

/// How far the reading of all blocks is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// Unix seconds when the reading that is under way began; `None` between two.
    pub began: Option<u64>,
    /// Unix seconds when the last one ended.
    pub ended: Option<u64>,
    /// Blocks read by the one that is under way, or by the last one.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them were damaged, and are got again from others, or could not be read.
    pub damaged: u64,
    /// The last one that was read.
    after: Option<Cid>,
}

pub(crate) async fn state(shared: &Shared) -> Result<Scrubbed, StoreError> {
    let state = shared.on_ledger(|ledger| ledger.place(Place::Scrub));
    Ok(state.await?.unwrap_or_default())
}

/// Reads all blocks whenever it is time; never returns.
pub(crate) async fn run(shared: &Shared) {
    let Some(every) = shared.config.scrub_every else {
        return std::future::pending().await;
    };
    let limiter = Limiter::new(shared.config.scrub_bytes_per_second, BURST);
    loop {
        let pause = match once(shared, every, &limiter).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(%error, "the reading of all blocks stopped");
                shared.config.again_after
            }
        };
        sleep(pause).await;
    }
}

/// Reads all blocks if it is time; how long until it is time again.
async fn once(shared: &Shared, every: Duration, limiter: &Limiter) -> Result<Duration, StoreError> {
    let mut state = state(shared).await?;
    if state.began.is_none() {
        let since = state.ended.map(|ended| now().saturating_sub(ended));
        let due = since.map_or(Duration::ZERO, |since| {
            every.saturating_sub(Duration::from_secs(since))
        });
        if !due.is_zero() {
            // A clock that was wrong when the last one ended does not put it off for ever.
            return Ok(due.min(every));
        }
        state = Scrubbed {
            began: Some(now()),
            ended: state.ended,
            ..Scrubbed::default()
        };
    }
    let store = shared.blocks.store();
    loop {
        let page = store.list(Span::full(), state.after, PAGE).await?;
        for cid in &page {
            let bytes = match store.get(cid).await {
                Ok(Some(bytes)) => bytes.len(),
                Ok(None) => continue,
                Err(StoreError::Corrupt(reason)) => {
                    tracing::warn!(%cid, reason, "a block is damaged, it is got again from its replicas");
                    state.damaged += 1;
                    if let Err(error) = shared.damaged(cid).await {
                        tracing::warn!(%cid, %error, "a damaged block cannot be removed");
                    }
                    0
                }
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                // A bad spot of the disk does not hide what is behind it.
                Err(error) => {
                    tracing::warn!(%cid, %error, "a block cannot be read");
                    state.damaged += 1;
                    0
                }
            };
            state.blocks += 1;
            state.bytes += bytes as u64;
            limiter.take(bytes).await;
        }
        state.after = page.last().copied();
        let at_end = page.len() < PAGE;
        if at_end {
            state.after = None;
            state.began = None;
            state.ended = Some(now());
        }
        let written = state.clone();
        shared
            .on_ledger(move |ledger| ledger.set_place(Place::Scrub, Some(&written)))
            .await?;
        if at_end {
            return Ok(every);
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
