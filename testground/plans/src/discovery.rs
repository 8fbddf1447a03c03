//! Plan `discovery`: nodes on one LAN that were told nothing find each other.

use anyhow::{Context, bail};

use crate::hedgerow::Node;
use crate::team::{Team, text};

/// Case `lan`: every node has its neighbours, and reaches every other by its name.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let within = team.duration("within")?;
    let pings: u32 = team.environment.param("pings")?;
    let mut node = Node::new(&team.environment, &[]);

    team.recorder.stage_start("finding the neighbours");
    let members = team.start(&mut node).await?;
    team.settle(node.cli(), &members, within).await?;
    team.recorder.stage_end("finding the neighbours");
    team.meet("settled").await?;

    team.recorder.stage_start("reaching every other");
    let others = members.iter().filter(|member| member.number != team.number);
    for member in others {
        let peer = member.peer_id.as_str();
        let route = node.cli().json(&["overlay", "route", peer]).await?;
        let closest = text(&route["closest"][0]["peer_id"])
            .with_context(|| format!("the way to {peer} leads nowhere"))?;
        if closest != peer {
            bail!("the way to {peer} leads to {closest}");
        }
        let count = pings.to_string();
        let answers = node
            .cli()
            .json(&["peers", "ping", peer, "-c", &count])
            .await?;
        if answers.as_array().map(Vec::len) != usize::try_from(pings).ok() {
            bail!("{pings} pings to {peer} were answered by {answers}");
        }
    }
    team.recorder.stage_end("reaching every other");
    // Until then somebody may still be looking for this node.
    team.meet("done").await?;
    node.stop().await
}
