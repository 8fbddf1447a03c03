//! What a run showed.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use lab::SwitchStats;
use serde::Serialize;

use super::{Job, Network};
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
    /// How bad the network was.
    pub network: Network,
    /// What has passed the switch, where the network was not perfect.
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
            network: job.network.clone(),
            switch,
            out: job.out.clone(),
        }
    }
}
