//! Plan `kill-third`: a third of all nodes is killed at once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail};
use rand::seq::SliceRandom;
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
    let objects = put(&team, &client, node.cli(), within).await?;
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
    // Each looks after its share of the objects, those of the dead among them.
    let rank = alive.iter().position(|member| member.number == team.number);
    let rank = rank.context("who is alive is one of them")?;
    for object in objects.iter().skip(rank).step_by(alive.len()) {
        keepers(&team, node.cli(), &object.cid, within).await?;
    }
    team.sync.signal_and_wait("healed", alive.len()).await?;
    team.recorder.stage_end("healing");
    team.recorder.stage_start("reading everything");
    read_all(&client, &objects).await?;
    team.recorder.stage_end("reading everything");
    team.meet("done").await?;
    node.stop().await
}

/// Puts this instance's objects; those of all.
async fn put(
    team: &Team,
    client: &Client,
    cli: &Cli,
    within: Duration,
) -> anyhow::Result<Vec<Object>> {
    let size: usize = team.environment.param("size")?;
    let count: usize = team.environment.param("objects")?;
    let mut chance = team.own_chance();
    let objects = Objects::listen(team).await?;
    for _ in 0..count {
        let mut object = client
            .put(&crate::objects::fresh(&mut chance, size))
            .await?
            .context("a put failed in a network without faults")?;
        object.keepers = keepers(team, cli, &object.cid, within).await?;
        objects.tell(team, object).await?;
    }
    objects.finish(team).await
}

/// The nodes that keep an object, which is one block: all of those whose duty that is, as
/// each of them says itself. An acknowledgement waits for two of three.
async fn keepers(
    team: &Team,
    cli: &Cli,
    cid: &str,
    within: Duration,
) -> anyhow::Result<Vec<String>> {
    let wanted = REPLICAS.min(team.size());
    let deadline = Instant::now() + within;
    loop {
        let stat = cli.json(&["object", "stat", cid]).await?;
        let keepers = stat["keepers"].as_array().context("no keepers")?;
        let having = keepers.iter().filter(|keeper| keeper["has"] == true);
        let having: Vec<String> = having
            .map(|keeper| text(&keeper["peer_id"]))
            .collect::<anyhow::Result<_>>()?;
        if having.len() == wanted {
            return Ok(having);
        }
        if Instant::now() > deadline {
            bail!("{cid} is kept by {having:?} after {within:?}, of {keepers:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
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
