//! Plan `bulk`: much goes both ways over a long and lossy link, and never stands still.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::time::Instant;

use crate::client::Client;
use crate::hedgerow::Node;
use crate::objects::{Objects, fresh, read_all};
use crate::team::Team;

/// Where nodes listen.
const PORT: u16 = 4747;

/// How often the interface is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes in the time, both ways, that is no standstill: more than heartbeats are.
const ALIVE: u64 = 128 * 1024;

/// Cases `tcp` and `quic`: both instances put an object at the same time, which each of the two nodes
/// then keeps, so it goes over the link, both ways at once; then each reads the other's.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let within = team.duration("within")?;
    let stall = team.duration("stall")?;
    let size: usize = team.environment.param("size")?;
    let cache: u32 = team.environment.param("cache_mib")?;
    let listen = match team.environment.case.as_str() {
        "tcp" => format!("/ip4/0.0.0.0/tcp/{PORT}"),
        _ => format!("/ip4/0.0.0.0/udp/{PORT}/quic-v1"),
    };
    let cache = cache.to_string();
    let flags = ["--cache-max-mib", cache.as_str(), "--listen", &listen];
    let mut node = Node::new(&team.environment, &flags);
    let members = team.start(&mut node).await?;
    team.settle(node.cli(), &members, within).await?;
    shape(&team).await?;

    let cli = node.cli().with_patience("24h");
    let client = Client::new(&team, &cli)?;
    let objects = Objects::listen(&team).await?;
    let bytes = fresh(&mut team.own_chance(), size);
    team.meet("the link is as bad as it shall be").await?;
    team.recorder.stage_start("putting");
    let begun = Instant::now();
    let object = tokio::select! {
        put = client.put(&bytes) => put?.context("the put failed; history.jsonl says why")?,
        stalled = watchdog(stall) => return stalled,
    };
    let seconds = begun.elapsed().as_secs_f64();
    let rate = size as f64 * 8.0 / seconds / 1e6;
    team.recorder
        .message(format!("{size} bytes in {seconds:.1} s, {rate:.2} Mbit/s"));
    team.recorder.stage_end("putting");
    objects.tell(&team, object).await?;
    let known = objects.finish(&team).await?;
    read_all(&client, &known).await?;
    team.meet("done").await?;
    node.stop().await
}

/// Asks for the link that the parameters describe, as Testground's SDKs do.
async fn shape(team: &Team) -> anyhow::Result<()> {
    if !team.environment.sidecar {
        bail!("this case shapes its network, and here nobody can: it needs the switch");
    }
    let latency = team.duration("latency")?;
    let loss: f64 = team.environment.param("loss")?;
    let state = "shaped";
    let request = json!({
        "network": "default",
        "enable": true,
        "default": { "latency": u64::try_from(latency.as_nanos())?, "loss": loss },
        "callback_state": state,
    });
    let host = nix::unistd::gethostname().context("this host's name")?;
    let topic = format!("network:{}", host.to_string_lossy());
    team.sync.publish(&topic, &request).await?;
    team.sync.barrier(state, team.size()).await?;
    Ok(())
}

/// Returns when nothing more has come or gone for so long: to who has got all that it gets, only
/// acknowledgements come.
async fn watchdog(stall: Duration) -> anyhow::Result<()> {
    let mut before = moved()?;
    let mut since = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = moved()?;
        if now - before >= ALIVE {
            before = now;
            since = Instant::now();
        }
        if since.elapsed() > stall {
            bail!("stalled: {} bytes came and went in {stall:?}", now - before);
        }
    }
}

/// Bytes that have come and gone over all interfaces but the loopback.
fn moved() -> anyhow::Result<u64> {
    let table = std::fs::read_to_string("/proc/net/dev").context("the interfaces' counters")?;
    Ok(table
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.trim() != "lo")
        .map(|(_, counters)| {
            let counters: Vec<&str> = counters.split_whitespace().collect();
            let counter = |at: usize| counters.get(at).and_then(|text| text.parse().ok());
            // What came stands first, what went ninth.
            counter(0).unwrap_or(0u64) + counter(8).unwrap_or(0)
        })
        .sum())
}
