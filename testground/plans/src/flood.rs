//! Plan `flood`: a bad peer does to all nodes whatever it can think of.

use std::time::Duration;

use anyhow::{Context, bail};
use testground::history::{Outcome, Record};
use tokio::time::{Instant, timeout};

use crate::bad_libp2p;
use crate::bad_peer;
use crate::client::Client;
use crate::faults::Faults;
use crate::hedgerow::Cli;
use crate::load::load;
use crate::objects::{Objects, read_all};
use crate::team::Team;

/// Entered by the bad peer when it has done what it could.
const OVER: &str = "the flood is over";

/// Between two looks at what a node holds, which it tells nobody by itself.
const LOOK: Duration = Duration::from_millis(500);

/// What the bad peer speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tongue {
    /// TCP and UDP, and no more of libp2p than how a conversation begins.
    Plain,
    /// libp2p, and the protocols of a node.
    Libp2p,
}

/// Cases `garbage` and `streams`: the last instance has no node, and floods those of the others, who
/// put and get all the while; none of it fails, and no node ends or grows beyond bounds.
pub(crate) async fn run(mut team: Team, tongue: Tongue) -> anyhow::Result<()> {
    team.nodes = team.size() - 1;
    if team.number == team.nodes {
        return bad(&team, tongue).await;
    }
    let within = team.duration("within")?;
    let most: u64 = team.environment.param("memory_mib")?;
    let (mut node, members) = team.network(within).await?;
    let client = Client::new(&team, node.cli())?;
    let objects = Objects::listen(&team).await?;
    team.recorder.stage_start("flood");
    let cli = node.cli().clone();
    let faults = Faults::new();
    let over = async {
        let most = tokio::select! {
            most = largest(&cli, team.sync.barrier(OVER, 1)) => most?,
            status = node.ended() => bail!("the node ended, with {}", status?),
        };
        faults.over();
        Ok(most)
    };
    let ((), resident) = tokio::try_join!(load(&team, &client, &cli, &objects, &faults), over)?;
    team.recorder.stage_end("flood");
    team.recorder
        .message(format!("the node held {resident} MiB of memory"));
    if resident > most {
        bail!("the node held {resident} MiB of memory; {most} were to be the most");
    }
    none_failed(&client.records())?;
    team.settle(&cli, &members, within).await?;
    let known = objects.finish(&team).await?;
    team.recorder.stage_start("reading everything");
    read_all(&client, &known).await?;
    team.recorder.stage_end("reading everything");
    team.meet("done").await?;
    node.stop().await
}

/// The most memory that a node is seen to hold until something is over, MiB.
async fn largest<E>(cli: &Cli, over: impl Future<Output = Result<(), E>>) -> anyhow::Result<u64>
where
    anyhow::Error: From<E>,
{
    let mut over = std::pin::pin!(over);
    let mut most = 0;
    loop {
        let ended = timeout(LOOK, &mut over).await;
        let status = cli.json(&["node", "status"]).await?;
        let resident = status["resident_bytes"].as_u64().context("no size")? >> 20;
        most = most.max(resident);
        if let Ok(ended) = ended {
            ended?;
            return Ok(most);
        }
    }
}

async fn bad(team: &Team, tongue: Tongue) -> anyhow::Result<()> {
    let lasts = team.duration("lasts")?;
    let connections: usize = team.environment.param("connections")?;
    team.meet("settled").await?;
    team.recorder.stage_start("flood");
    let nodes = &team.addresses[..team.nodes];
    let deadline = Instant::now() + lasts;
    let mut chance = team.own_chance();
    let said = match tongue {
        Tongue::Plain => {
            let tally = bad_peer::flood(nodes, connections, &mut chance, deadline).await?;
            vec![format!(
                "{} connections, {} bytes and {} datagrams",
                tally.connections, tally.bytes, tally.datagrams
            )]
        }
        Tongue::Libp2p => {
            let streams: usize = team.environment.param("streams")?;
            let tally =
                bad_libp2p::flood(nodes, connections, streams, &mut chance, deadline).await?;
            bad_libp2p::lines(&tally)
        }
    };
    team.recorder.stage_end("flood");
    for line in said {
        team.recorder.message(line);
    }
    team.sync.signal_entry(OVER).await?;
    team.meet("done").await
}

fn none_failed(records: &[Record]) -> anyhow::Result<()> {
    let mut done = 0;
    for record in records {
        if let Record::Put { outcome, error, .. } | Record::Get { outcome, error, .. } = record {
            if *outcome != Outcome::Ok {
                bail!("during the flood this failed: {error}");
            }
            done += 1;
        }
    }
    if done == 0 {
        bail!("nothing was put and got during the flood");
    }
    Ok(())
}
