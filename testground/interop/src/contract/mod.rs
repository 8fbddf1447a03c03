//! The contract of libp2p's public interop matrix, spoken for a Hedgerow node's own transports
//! (X18 to X24 of `docs/specs/interop-peer.md`).
//!
//! Two programs meet through a Redis: the one that listens leaves its address there, the other
//! one takes it, dials and pings. Source: the READMEs of `transport-interop` in
//! libp2p/test-plans, and of the suite `transport` in libp2p/unified-testing.

pub mod environment;
mod meeting;
mod peer;
pub mod report;

use std::time::Instant;

use anyhow::{Context, bail};
use libp2p::Multiaddr;
use tokio::time::timeout_at;

use environment::{Role, Task};
use meeting::Meeting;
use peer::Peer;
use report::Measured;

/// Does what the environment says. A dialler comes back with what it measured; a listener only
/// with a failure, since it is ended by whoever has started it.
pub async fn run(task: &Task) -> anyhow::Result<Measured> {
    let deadline = Instant::now() + task.within;
    let meeting = Meeting::new(task, deadline)?;
    match timeout_at(deadline.into(), act(task, meeting)).await {
        Ok(result) => result,
        Err(_) => bail!(
            "the test is over: {} s have passed without {}",
            task.within.as_secs(),
            match task.role {
                Role::Dialer => "a ping that was answered",
                Role::Listener => "being ended",
            }
        ),
    }
}

async fn act(task: &Task, meeting: Meeting) -> anyhow::Result<Measured> {
    let mut peer = Peer::new(task)?;
    match task.role {
        Role::Listener => {
            let address = peer.listen(task.listen()).await?;
            tracing::info!(%address, "listening");
            meeting.leave(address.to_string()).await?;
            peer.serve().await
        }
        Role::Dialer => {
            let address = meeting.take().await?;
            tracing::info!(address, "dialling");
            let address: Multiaddr = address
                .parse()
                .with_context(|| format!("the listener left no multiaddress: `{address}`"))?;
            peer.ping(address).await
        }
    }
}
