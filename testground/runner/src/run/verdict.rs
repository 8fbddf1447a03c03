//! What a run showed.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use lab::SwitchStats;
use serde::Serialize;

use super::conductor::Conducted;
use super::{FaultVerdict, Job, Network};
use crate::oracle::Findings;

/// Why the instances of a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Each had done its work.
    ByItself,
    /// One failed; those that went on were ended after a while.
    Failure,
    /// The time was over.
    Limit,
    /// The user said so.
    Interrupted,
}

/// What a run showed.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The plan.
    pub plan: String,
    /// Its case.
    pub case: String,
    /// The run's id.
    pub run: String,
    /// What chance was drawn from.
    pub seed: u64,
    /// Whether every instance succeeded and the oracle found nothing.
    pub passed: bool,
    /// Why not, in lines; empty if it passed.
    pub reasons: Vec<String>,
    /// Why the instances ended.
    pub ending: Ending,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// The command that runs it again.
    pub command: String,
    /// Each instance.
    pub instances: Vec<InstanceVerdict>,
    /// What the oracle found, where there are histories.
    pub oracle: Option<Findings>,
    /// What was made to go wrong.
    pub faults: Vec<FaultVerdict>,
    /// How bad the network was beside that.
    pub network: Network,
    /// How often instances changed their network themselves.
    pub shaped: usize,
    /// What has passed the switch, if there was one.
    pub switch: Option<SwitchStats>,
    /// The folder of the results.
    pub out: PathBuf,
}

/// What an instance showed.
#[derive(Debug, Clone, Serialize)]
pub struct InstanceVerdict {
    /// Its number, from 0.
    pub instance: usize,
    /// Its group.
    pub group: String,
    /// Whether it succeeded.
    pub passed: bool,
    /// Why not; empty if it did.
    pub error: String,
    /// The folder of its outputs.
    pub outputs: PathBuf,
}

impl Verdict {
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each part of the verdict"
    )]
    pub(super) fn new(
        job: &Job,
        run: String,
        started: SystemTime,
        took: Duration,
        instances: Vec<InstanceVerdict>,
        ending: Ending,
        oracle: Option<Findings>,
        conducted: Conducted,
        switch: Option<SwitchStats>,
    ) -> Verdict {
        let mut reasons: Vec<String> = instances
            .iter()
            .filter(|instance| !instance.passed)
            .map(|instance| format!("instance {}: {}", instance.instance, instance.error))
            .collect();
        if let Some(findings) = &oracle {
            reasons.extend(findings.violations.iter().map(ToString::to_string));
        }
        reasons.extend(faults_not_done(&conducted.faults));
        reasons.extend(conducted.refused);
        Verdict {
            plan: job.plan.clone(),
            case: job.case.clone(),
            run,
            seed: job.seed,
            passed: reasons.is_empty(),
            reasons,
            ending,
            started: humantime::format_rfc3339_seconds(started).to_string(),
            seconds: took.as_secs_f64(),
            command: job.command.clone(),
            instances,
            oracle,
            faults: conducted.faults,
            network: job.network.clone(),
            shaped: conducted.shaped,
            switch,
            out: job.out.clone(),
        }
    }
}

/// Faults that were to happen and did not, or did not end: then nothing is shown about them.
fn faults_not_done(faults: &[FaultVerdict]) -> Vec<String> {
    let mut reasons: Vec<String> = faults
        .iter()
        .filter(|verdict| !verdict.error.is_empty())
        .map(|verdict| format!("{verdict}: {}", verdict.error))
        .collect();
    let begun = faults.iter().filter(|verdict| verdict.began.is_some());
    let ended = faults.iter().filter(|verdict| verdict.ended.is_some());
    let (all, begun, ended) = (faults.len(), begun.count(), ended.count());
    if reasons.is_empty() && ended < all {
        reasons.push(match begun {
            0 => format!("none of {all} faults began: not every instance was ready for them"),
            _ => format!("the run was over before all faults were: of {all}, {begun} had begun and {ended} ended"),
        });
    }
    reasons
}
