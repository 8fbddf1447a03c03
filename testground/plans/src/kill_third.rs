//! Plan `kill-third`: a third of all nodes is killed at once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail};
use rand::seq::SliceRandom;
use serde_json::Value;
use tokio::time::Instant;

use crate::client::{Client, Object};
use crate::hedgerow::Cli;
use crate::objects::{Objects, read_all};
use crate::team::{Member, Team, text};

/// Nodes that keep each object.
const REPLICAS: usize = 3;

/// How many sets of victims are drawn before there is said to be none: far more than ever
/// needed.
const MAX_DRAWS: usize = 10_000;

/// How long between two looks at how many copies there are.
const LOOK: Duration = Duration::from_millis(250);

/// Case `at-once`: everybody left reads everything that was acknowledged, and the overlay and
/// the replicas heal.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let within = team.duration("within")?;
    let (mut node, members) = team.network(within).await?;

    team.recorder.stage_start("putting");
    let client = Client::new(&team, node.cli())?;
    let objects = put(&team, &client, node.cli()).await?;
    copies(
        &team,
        node.cli(),
        team.size(),
        objects.len(),
        "before",
        within,
    )
    .await?;
    team.recorder.stage_end("putting");

    let victims = victims(&team, &members, &objects)?;
    team.meet("the kill").await?;
    if victims.contains(&team.number) {
        node.kill().await?;
        team.recorder.message("this node was killed");
        team.meet("killed").await?;
        return team.meet("done").await;
    }
    team.meet("killed").await?;
    let alive: Vec<Member> = members
        .iter()
        .filter(|member| !victims.contains(&member.number))
        .cloned()
        .collect();

    // At once, while nobody knows yet who is gone: no answer is no loss, "not found" is one.
    team.recorder.stage_start("reading while all heals");
    for object in &objects {
        client.get(&object.cid).await?;
    }
    team.recorder.stage_end("reading while all heals");
    team.recorder.stage_start("healing");
    team.settle(node.cli(), &alive, within).await?;
    copies(
        &team,
        node.cli(),
        alive.len(),
        objects.len(),
        "after",
        within,
    )
    .await?;
    team.recorder.stage_end("healing");
    team.recorder.stage_start("reading everything");
    read_all(&client, &objects).await?;
    team.recorder.stage_end("reading everything");
    team.meet("done").await?;
    node.stop().await
}

/// Puts this instance's objects; those of all.
async fn put(team: &Team, client: &Client, cli: &Cli) -> anyhow::Result<Vec<Object>> {
    let size: usize = team.environment.param("size")?;
    let count: usize = team.environment.param("objects")?;
    let mut chance = team.own_chance();
    let objects = Objects::listen(team).await?;
    for _ in 0..count {
        let mut object = client
            .put(&crate::objects::fresh(&mut chance, size))
            .await?
            .context("a put failed in a network without faults")?;
        object.keepers = keepers(cli, &object.cid).await?;
        objects.tell(team, object).await?;
    }
    objects.finish(team).await
}

/// The nodes that should keep an object, which is one block.
async fn keepers(cli: &Cli, cid: &str) -> anyhow::Result<Vec<String>> {
    let route = cli.json(&["overlay", "route", cid]).await?;
    let closest = route["closest"].as_array().context("no closest nodes")?;
    closest
        .iter()
        .take(REPLICAS)
        .map(|contact: &Value| text(&contact["peer_id"]))
        .collect()
}

/// Which instances' nodes are killed: the first third, drawn by the run's chance, that does
/// not have all keepers of any object. What dies on every node that keeps it is not promised.
fn victims(team: &Team, members: &[Member], objects: &[Object]) -> anyhow::Result<BTreeSet<usize>> {
    let mut chance = team.common_chance();
    let mut order: Vec<usize> = (0..members.len()).collect();
    for draw in 1..=MAX_DRAWS {
        order.shuffle(&mut chance);
        let victims: BTreeSet<usize> = order.iter().copied().take(members.len() / 3).collect();
        let dead: BTreeSet<&str> = members
            .iter()
            .filter(|member| victims.contains(&member.number))
            .map(|member| member.peer_id.as_str())
            .collect();
        let left = |object: &Object| {
            object
                .keepers
                .iter()
                .any(|one| !dead.contains(one.as_str()))
        };
        if objects.iter().all(left) {
            if team.number == 0 {
                team.recorder
                    .message(format!("to be killed: {victims:?}, draw {draw}"));
            }
            return Ok(victims);
        }
    }
    bail!("each third of the nodes has all keepers of some object");
}

/// Waits until the `nodes` that take part have three copies of each of the `objects`. All see the same
/// sums, and so go on together.
async fn copies(
    team: &Team,
    cli: &Cli,
    nodes: usize,
    objects: usize,
    when: &str,
    within: Duration,
) -> anyhow::Result<()> {
    let wanted = (objects * REPLICAS.min(nodes)) as u64;
    let deadline = Instant::now() + within;
    for round in 0u64.. {
        let status = cli.json(&["node", "status"]).await?;
        let own = status["blocks"].as_u64().context("no count of blocks")?;
        let late = Instant::now() > deadline;
        let topic = format!("copies {when} {round}");
        let seen = team.sync.exchange(&topic, &(own, late), nodes).await?;
        let sum: u64 = seen.iter().map(|(count, _)| count).sum();
        if sum >= wanted {
            return Ok(());
        }
        if seen.iter().any(|(_, late)| *late) {
            bail!(
                "{sum} of {wanted} copies of {objects} objects {when} the kill, after {within:?}"
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
