//! A bad network between the instances of a run.

use lab::{Builder, Lab, LabError, Rule, Shape, SwitchStats, Uplink};
use serde::Serialize;

use super::Job;

/// How packets fare between any two instances. The way to the sync service is perfect.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Network {
    /// On every path.
    pub shape: Shape,
    /// Of every instance.
    pub uplink: Uplink,
}

impl Network {
    /// Whether it is as good as can be, so that no switch is needed.
    pub fn is_perfect(&self) -> bool {
        *self == Network::default()
    }

    /// A lab with such a network has a switch.
    pub(super) fn build(&self, builder: Builder, job: &Job) -> Builder {
        if self.is_perfect() {
            return builder;
        }
        builder
            .switched(job.seed)
            .switch_program(&job.programs.testground, ["switch"])
    }

    /// Makes the network between the first `instances` nodes as bad as it shall be.
    pub(super) fn apply(&self, lab: &Lab, instances: usize) -> Result<(), LabError> {
        if self.is_perfect() {
            return Ok(());
        }
        let all: Vec<usize> = (0..instances).collect();
        lab.shape([Rule::one_way(&all, &all, self.shape.clone())])?;
        all.iter()
            .try_for_each(|node| lab.set_uplink(*node, 0, self.uplink))
    }

    /// What has passed the switch, if there is one.
    pub(super) fn stats(&self, lab: &Lab) -> Result<Option<SwitchStats>, LabError> {
        if self.is_perfect() {
            return Ok(None);
        }
        lab.switch_stats().map(Some)
    }
}
