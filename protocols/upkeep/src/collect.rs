//! Lets go of copies that nobody has need of here (I7 to I9).

use std::time::Duration;

use cid::Cid;
use claims::State;
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use guid::Span;
use replicas::{GetError, StoreError};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::CollectError;
use crate::handle::{Progress, Shared};
use crate::ledger::Place;

/// Blocks looked at before those that can go are removed.
const PAGE: usize = 256;

/// Blocks asked about at a time.
const AT_A_TIME: usize = 16;

/// How long a pass waits for a node to know what it has to keep, and how often it looks.
const UNSETTLED: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Blocks looked at.
    pub looked: u64,
    /// Their bytes.
    pub looked_bytes: u64,
    /// Blocks that went.
    pub gone: u64,
    /// Their bytes.
    pub gone_bytes: u64,
    /// Blocks that stay because this node owes them to others.
    pub owed: u64,
    /// Blocks that stay because they are pinned.
    pub pinned: u64,
    /// Blocks that stay until all who have to keep them do.
    pub waiting: u64,
}

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It only counts.
    Dry,
    /// A person wants it.
    Asked,
    /// Room is short: it ends when no more bytes than this are kept.
    Until(u64),
}

/// Where a pass that a person has asked for is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Pass {
    after: Option<Cid>,
    collected: Collected,
}

/// What is to be done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Goes,
    Owed,
    Pinned,
    Waits,
}

/// Makes a pass.
pub(crate) async fn collect(
    shared: &Shared,
    how: How,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Collected, CollectError> {
    let _turn = shared
        .collecting
        .try_lock()
        .map_err(|_| CollectError::Busy)?;
    if how == How::Asked {
        write(shared, Some(Pass::default())).await?;
    }
    let outcome = pass(shared, how, Pass::default(), tell).await;
    if outcome.is_err() && how == How::Asked {
        // Whoever has asked hears of it, and asks again.
        write(shared, None).await?;
    }
    outcome
}

/// Goes on with the pass that a person has asked for, if the node's end was before its.
pub(crate) async fn go_on(shared: &Shared) {
    loop {
        let turn = shared.collecting.lock().await;
        let left = shared.on_ledger(|ledger| ledger.place::<Pass>(Place::Pass));
        let outcome = match left.await {
            Ok(Some(left)) => pass(shared, How::Asked, left, &|_| ()).await,
            Ok(None) => return,
            Err(error) => Err(error.into()),
        };
        drop(turn);
        match outcome {
            Ok(collected) => {
                return tracing::info!(
                    blocks = collected.gone,
                    bytes = collected.gone_bytes,
                    "let go of copies, as was asked for before the node's last end"
                );
            }
            // It has not found its neighbours yet.
            Err(CollectError::Unsettled) => sleep(shared.config.look_every).await,
            Err(error) => return tracing::warn!(%error, "a pass was not gone on with"),
        }
    }
}

/// Makes a pass; its place is forgotten where it came to its end, and kept where it did not.
async fn pass(
    shared: &Shared,
    how: How,
    mut pass: Pass,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Collected, CollectError> {
    pages(shared, how, &mut pass, tell).await?;
    if how == How::Asked {
        write(shared, None).await?;
    }
    Ok(pass.collected)
}

async fn pages(
    shared: &Shared,
    how: How,
    pass: &mut Pass,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), CollectError> {
    let store = shared.blocks.store();
    let total = store.usage().bytes.max(pass.collected.looked_bytes);
    loop {
        settled(shared).await?;
        let page = store.list(Span::full(), pass.after, PAGE).await?;
        let mut fates = stream::iter(page.clone())
            .map(|cid| async move {
                let size = shared.blocks.store().size(&cid).await?.unwrap_or(0);
                Ok::<_, StoreError>((cid, size, fate(shared, &cid, how).await?))
            })
            .buffer_unordered(AT_A_TIME);
        let mut going = Vec::new();
        let collected = &mut pass.collected;
        while let Some((cid, size, fate)) = fates.try_next().await? {
            collected.looked += 1;
            collected.looked_bytes += size;
            match fate {
                Fate::Goes => going.push((cid, size)),
                Fate::Owed => collected.owed += 1,
                Fate::Pinned => collected.pinned += 1,
                Fate::Waits => collected.waiting += 1,
            }
        }
        let (gone, bytes) = match how {
            How::Dry => (going.len(), going.iter().map(|(_, size)| size).sum()),
            How::Asked | How::Until(_) => let_go(shared, going).await?,
        };
        collected.gone += gone as u64;
        collected.gone_bytes += bytes;
        let done = collected.looked_bytes;
        tell(Progress {
            done,
            total: total.max(done),
        });
        pass.after = page.last().copied();
        if page.len() < PAGE {
            return Ok(());
        }
        match how {
            How::Dry => {}
            How::Asked => write(shared, Some(pass.clone())).await?,
            How::Until(bytes) if store.usage().bytes <= bytes => return Ok(()),
            How::Until(_) => {}
        }
    }
}

/// Whether a pass would let go of a block.
pub(crate) async fn may_go(shared: &Shared, cid: &Cid) -> Result<bool, StoreError> {
    Ok(fate(shared, cid, How::Dry).await? == Fate::Goes)
}

/// Whether this node may let go of a block.
async fn fate(shared: &Shared, cid: &Cid, how: How) -> Result<Fate, StoreError> {
    let name = *cid;
    if shared
        .on_ledger(move |ledger| ledger.is_pinned(&name))
        .await?
    {
        return Ok(Fate::Pinned);
    }
    let keepers = match shared.blocks.keepers(cid).await {
        Ok(keepers) => keepers,
        Err(GetError::Local(error)) => return Err(error),
        Err(_) => return Ok(Fate::Waits),
    };
    if keepers.is_empty() {
        return Ok(Fate::Waits);
    }
    if keepers.iter().any(|keeper| keeper.is_this_node) {
        return Ok(Fate::Owed);
    }
    let have = |keeper: &&replicas::Keeper| matches!(keeper.has, Ok(true));
    let count = keepers.iter().filter(have).count();
    if count == keepers.len() {
        return Ok(Fate::Goes);
    }
    if count == 0 && is_released(shared, cid).await {
        return Ok(Fate::Goes);
    }
    // What none of them has may have come from outside for this node's sake alone.
    if count > 0 && how != How::Dry {
        shared.blocks.repair(cid);
    }
    Ok(Fate::Waits)
}

/// Whether those who had to keep a block were told that nobody needs it any more. That it was
/// needed once is known: what nobody ever claimed was never released.
async fn is_released(shared: &Shared, cid: &Cid) -> bool {
    let Some(claiming) = &shared.claiming else {
        return false;
    };
    let agreed = claiming.claims.agreed(cid).boxed();
    matches!(agreed.await, Ok(State::Free { .. }))
}

/// Removes blocks that no pin has come to have meanwhile, and that have not come to be this node's
/// duty; how many of how many bytes.
async fn let_go(shared: &Shared, going: Vec<(Cid, u64)>) -> Result<(usize, u64), StoreError> {
    if going.is_empty() {
        return Ok((0, 0));
    }
    let _turn = shared.taking_up.write().await;
    let free = shared.on_ledger(move |ledger| {
        let mut free = Vec::with_capacity(going.len());
        for (cid, _) in going {
            if !ledger.is_pinned(&cid)? {
                free.push(cid);
            }
        }
        Ok::<_, StoreError>(free)
    });
    let mut free = free.await?;
    free.retain(|cid| !shared.blocks.is_duty(cid));
    let bytes = shared.blocks.let_go(&free).await?;
    // A change of the ring may have come in between: then it is got again.
    for cid in free.iter().filter(|cid| shared.blocks.is_duty(cid)) {
        shared.blocks.repair(cid);
    }
    Ok((free.len(), bytes))
}

/// Returns once this node knows what it has to keep.
async fn settled(shared: &Shared) -> Result<(), CollectError> {
    let begin = Instant::now();
    // Nobody tells when a node comes to be settled.
    while !shared.blocks.is_settled() {
        if begin.elapsed() > UNSETTLED {
            return Err(CollectError::Unsettled);
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

async fn write(shared: &Shared, pass: Option<Pass>) -> Result<(), StoreError> {
    let written = shared.on_ledger(move |ledger| ledger.set_place(Place::Pass, pass.as_ref()));
    written.await
}
