//! Lets go of what nobody needs any more (I18, CL9).

use std::time::Duration;

use cid::Cid;
use claims::State;
use futures::FutureExt;
use futures::stream::{self, StreamExt};
use replicas::StoreError;
use tokio::time::sleep;

use crate::Config;
use crate::claiming::Claiming;
use crate::handle::Shared;

/// Knows of the blocks that nobody needs any more (CL6, CL7), for those who keep and move them.
pub struct Unwanted {
    claims: claims::Handle,
    grace: Duration,
}

impl Unwanted {
    /// As [`Config::grace`](crate::Config) says.
    pub fn new(claims: claims::Handle, config: &Config) -> Unwanted {
        Unwanted {
            claims,
            grace: config.grace,
        }
    }
}

#[async_trait::async_trait]
impl blocks::Needs for Unwanted {
    async fn put_again(&self, cid: &Cid) -> Result<(), StoreError> {
        self.claims.store().put_again(cid).await
    }

    async fn is_unwanted(&self, cid: &Cid) -> bool {
        self.claims.unwanted(cid, self.grace).await
    }
}

/// Blocks that are looked at at a time, and asked about at a time.
const PAGE: usize = 256;
const AT_A_TIME: usize = 8;

/// Never returns.
pub(crate) async fn run(shared: &Shared) {
    let Some(claiming) = &shared.claiming else {
        return std::future::pending().await;
    };
    loop {
        match remove(shared, claiming).await {
            Ok((0, _)) => {}
            Ok((blocks, bytes)) => {
                tracing::info!(blocks, bytes, "let go of what nobody needs any more");
            }
            Err(error) => tracing::warn!(%error, "what nobody needs any more stays"),
        }
        sleep(shared.config.look_every).await;
    }
}

/// Looks at all blocks that were released by all who needed them; how many of how many bytes
/// went.
pub(crate) async fn remove(shared: &Shared, claiming: &Claiming) -> Result<(u64, u64), StoreError> {
    let (mut blocks, mut bytes) = (0, 0);
    let mut after = None;
    while shared.blocks.is_settled() && claiming.claims.is_settled() {
        let page = claiming.claims.store().free(after, PAGE).await?;
        let unwanted = stream::iter(page.blocks)
            .map(|(cid, _)| look_at(shared, claiming, cid).boxed())
            .buffer_unordered(AT_A_TIME)
            .collect::<Vec<_>>()
            .await;
        let mut going = Vec::new();
        for (cid, goes) in unwanted {
            if goes? {
                going.push(cid);
            }
        }
        let (gone, of) = let_go(shared, going).await?;
        blocks += gone;
        bytes += of;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok((blocks, bytes))
}

async fn look_at(
    shared: &Shared,
    claiming: &Claiming,
    cid: Cid,
) -> (Cid, Result<bool, StoreError>) {
    (cid, may_go(shared, claiming, &cid).await)
}

/// Whether a block that is free here is kept here, and is free for all who keep it as well.
async fn may_go(shared: &Shared, claiming: &Claiming, cid: &Cid) -> Result<bool, StoreError> {
    let grace = shared.config.grace;
    if !claiming.claims.unwanted(cid, grace).await || !shared.blocks.has(cid).await? {
        return Ok(false);
    }
    // Where fewer than a majority answer, it stays.
    let agreed = claiming.claims.agreed(cid).boxed();
    Ok(matches!(agreed.await, Ok(State::Free { .. })))
}

async fn let_go(shared: &Shared, going: Vec<Cid>) -> Result<(u64, u64), StoreError> {
    if going.is_empty() {
        return Ok((0, 0));
    }
    let _turn = shared.taking_up.write().await;
    let free = shared.not_needed(going).await?;
    // What was put again while others were asked stays.
    shared.blocks.remove_unwanted(free).await
}
