//! Plan `full-disk`: a node has no room left, and then has again.

use anyhow::bail;
use testground::faults::Kind;

use crate::load::survive;
use crate::team::Team;

/// Case `one`: the node goes on, the others put and get meanwhile, nothing acknowledged is lost,
/// and with room again the node stores again.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    // That the node does not end, and puts again in the end, is looked at there.
    let story = survive(&team).await?;
    for fault in story.faults.iter().filter(|fault| fault.kind == Kind::Fill) {
        let (puts, gets) = story.during(fault);
        let whose = match fault.victims.contains(&team.number) {
            true => "its own",
            false => "another",
        };
        team.recorder.message(format!(
            "while {whose} disk was full: {puts} puts, {gets} gets"
        ));
        if gets == 0 || (puts == 0 && whose == "another") {
            bail!("while {whose} disk was full, {puts} puts and {gets} gets succeeded here");
        }
    }
    Ok(())
}
