//! Plan `many`: as many nodes as one machine holds.

use anyhow::{Context, bail};
use rand::seq::IndexedRandom;
use testground::history::Outcome;

use crate::client::Client;
use crate::objects::{Objects, read_all};
use crate::team::Team;

/// Case `one-machine`: all find each other, each puts an object and reads a few of the others';
/// the first one reads all.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let within = team.duration("within")?;
    let size: usize = team.environment.param("size")?;
    let reads: usize = team.environment.param("reads")?;
    team.recorder.stage_start("finding the neighbours");
    let (mut node, _) = team.network(within).await?;
    team.recorder.stage_end("finding the neighbours");

    team.recorder.stage_start("putting and reading");
    let client = Client::new(&team, node.cli())?;
    let objects = Objects::listen(&team).await?;
    let mut chance = team.own_chance();
    objects
        .put(&team, &client, &mut chance, size)
        .await?
        .context("a put failed in a network without faults")?;
    let known = objects.finish(&team).await?;
    for _ in 0..reads {
        let object = known.choose(&mut chance).context("nothing was put")?;
        if client.get(&object.cid).await? != Outcome::Ok {
            bail!(
                "{} could not be read in a network without faults",
                object.cid
            );
        }
    }
    if team.number == 0 {
        read_all(&client, &known).await?;
    }
    team.recorder.stage_end("putting and reading");
    team.meet("done").await?;
    node.stop().await
}
