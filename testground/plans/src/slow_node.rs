//! Plan `slow-node`: a node that stands still stops nobody.

use anyhow::bail;
use testground::faults::Kind;
use testground::history::{Outcome, Record};

use crate::load::survive;
use crate::team::Team;

/// Case `stopped`: while a node stands still, with its connections open, everybody else puts
/// and gets, and nothing of it fails.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let story = survive(&team).await?;
    for fault in story.faults.iter().filter(|fault| fault.kind == Kind::Stop) {
        if fault.victims.contains(&team.number) {
            continue;
        }
        let (puts, gets) = story.during(fault);
        if puts == 0 || gets == 0 {
            bail!("while another node stood still, {puts} puts and {gets} gets succeeded here");
        }
        let failed = story.records.iter().find_map(|record| match record {
            Record::Put {
                begin,
                outcome,
                error,
                ..
            }
            | Record::Get {
                begin,
                outcome,
                error,
                ..
            } if *outcome != Outcome::Ok && (fault.begin..fault.end).contains(begin) => Some(error),
            _ => None,
        });
        if let Some(error) = failed {
            bail!("while another node stood still, this failed: {error}");
        }
    }
    Ok(())
}
