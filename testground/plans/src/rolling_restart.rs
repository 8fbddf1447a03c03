//! Plan `rolling-restart`: every node is restarted in turn while all put and get.

use std::time::Duration;

use tokio::sync::watch;

use crate::client::Client;
use crate::hedgerow::Node;
use crate::objects::{Objects, read_all};
use crate::team::{Member, Team};

/// What an instance's load may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Load,
    /// The own node is being restarted: there is nobody to ask, or nobody it knows.
    Pause,
    Over,
}

/// Case `under-load`: nothing that was acknowledged is lost.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let within = team.duration("within")?;
    let (mut node, members) = team.network(within).await?;

    let client = Client::new(&team, node.cli())?;
    let objects = Objects::listen(&team).await?;
    let (phase, seen) = watch::channel(Phase::Load);
    // Both have to succeed; the first error is the run's.
    tokio::try_join!(
        load(&team, &client, &objects, seen),
        turns(&team, &mut node, &members, within, phase)
    )?;
    let objects = objects.finish(&team).await?;
    team.recorder
        .message(format!("{} objects were acknowledged", objects.len()));

    team.settle(node.cli(), &members, within).await?;
    team.meet("load is over").await?;
    team.recorder.stage_start("reading everything");
    read_all(&client, &objects).await?;
    team.recorder.stage_end("reading everything");
    team.meet("done").await?;
    node.stop().await
}

/// Restarts the instances' nodes one after the other.
async fn turns(
    team: &Team,
    node: &mut Node,
    members: &[Member],
    within: Duration,
    phase: watch::Sender<Phase>,
) -> anyhow::Result<()> {
    for turn in 0..team.size() {
        team.meet(&format!("turn {turn}")).await?;
        if turn == team.number {
            team.recorder.stage_start("restarting");
            // What runs already meets a node that goes away.
            phase.send_replace(Phase::Pause);
            node.stop().await?;
            node.start().await?;
            // It may know nobody yet: that it finds nothing then is no proof of absence.
            phase.send_replace(Phase::Load);
            team.settle(node.cli(), members, within).await?;
            team.recorder.stage_end("restarting");
        }
        team.meet(&format!("turn {turn} is over")).await?;
    }
    phase.send_replace(Phase::Over);
    Ok(())
}

/// Puts something, then gets anything that anybody has put, again and again.
async fn load(
    team: &Team,
    client: &Client,
    objects: &Objects,
    mut phase: watch::Receiver<Phase>,
) -> anyhow::Result<()> {
    let size: usize = team.environment.param("size")?;
    let most: usize = team.environment.param("objects")?;
    let mut chance = team.own_chance();
    let mut put = 0;
    loop {
        // The sender goes only after it has said that it is over.
        let now = *phase.wait_for(|phase| *phase != Phase::Pause).await?;
        if now == Phase::Over {
            return Ok(());
        }
        if put < most {
            objects.put(team, client, &mut chance, size).await?;
            put += 1;
        }
        match objects.any(&mut chance, |_| true) {
            Some(object) => drop(client.get(&object.cid).await?),
            None => tokio::task::yield_now().await,
        }
    }
}
