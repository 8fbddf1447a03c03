//! Plan `partition-heal`: the network falls into two parts, in both of which people go on.

use anyhow::bail;
use testground::faults::Kind;

use crate::load::survive;
use crate::team::Team;

/// Cases `halves` and `one-way`: what either side acknowledged is readable everywhere once the
/// parts are one again, and so is the ring.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let story = survive(&team).await?;
    let partitions = story
        .faults
        .iter()
        .filter(|fault| fault.kind == Kind::Partition);
    for (index, fault) in partitions.enumerate() {
        let is_victim = fault.victims.contains(&team.number);
        let (puts, _) = story.during(fault);
        let topic = format!("puts in partition {index}");
        let all = team
            .sync
            .exchange(&topic, &(is_victim, puts), team.size())
            .await?;
        for side in [true, false] {
            let puts: usize = all
                .iter()
                .filter(|(is_victim, _)| *is_victim == side)
                .map(|(_, puts)| puts)
                .sum();
            let whose = if side { "the victims'" } else { "the others'" };
            if puts == 0 {
                bail!("no put was acknowledged on {whose} side while the partition lasted");
            }
            if team.number == 0 {
                let said = format!("{puts} puts were acknowledged on {whose} side of a partition");
                team.recorder.message(said);
            }
        }
    }
    Ok(())
}
