//! Plan `flood`: a bad peer does to all nodes whatever it can think of.

use anyhow::{Context, bail};
use testground::history::{Outcome, Record};
use tokio::time::Instant;

use crate::bad_peer;
use crate::client::Client;
use crate::faults::Faults;
use crate::load::load;
use crate::objects::{Objects, read_all};
use crate::team::Team;

/// Entered by the bad peer when it has done what it could.
const OVER: &str = "the flood is over";

/// Case `garbage`: the last instance has no node, and floods those of the others, who put and
/// get all the while; none of it fails, and no node ends or grows beyond bounds.
pub(crate) async fn run(mut team: Team) -> anyhow::Result<()> {
    team.nodes = team.size() - 1;
    if team.number == team.nodes {
        return bad(&team).await;
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
        tokio::select! {
            over = team.sync.barrier(OVER, 1) => over?,
            status = node.ended() => bail!("the node ended, with {}", status?),
        }
        // What it holds is looked at before it may let go of it.
        let status = cli.json(&["node", "status"]).await?;
        let resident = status["resident_bytes"].as_u64().context("no size")? >> 20;
        faults.over();
        Ok(resident)
    };
    let ((), resident) = tokio::try_join!(load(&team, &client, &cli, &objects, &faults), over)?;
    team.recorder.stage_end("flood");
    team.recorder
        .message(format!("the node holds {resident} MiB of memory"));
    if resident > most {
        bail!("the node holds {resident} MiB of memory; {most} were to be the most");
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

async fn bad(team: &Team) -> anyhow::Result<()> {
    let lasts = team.duration("lasts")?;
    let connections: usize = team.environment.param("connections")?;
    team.meet("settled").await?;
    team.recorder.stage_start("flood");
    let nodes = &team.addresses[..team.nodes];
    let deadline = Instant::now() + lasts;
    let tally = bad_peer::flood(nodes, connections, &mut team.own_chance(), deadline).await?;
    team.recorder.stage_end("flood");
    team.recorder.message(format!(
        "{} connections, {} bytes and {} datagrams",
        tally.connections, tally.bytes, tally.datagrams
    ));
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
