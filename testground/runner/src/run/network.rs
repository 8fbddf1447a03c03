//! A bad network between the instances of a run.

use std::fmt;

use lab::{Builder, Lab, LabError, Rule, Shape, Uplink};
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

    /// A lab with such a network, or where it shall have faults, has a switch.
    pub(super) fn build(&self, builder: Builder, job: &Job) -> Builder {
        if !job.has_switch() {
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
        lab.shape(self.rules(instances))?;
        (0..instances).try_for_each(|node| set_uplink(lab, node, self.uplink))
    }

    /// How packets fare between the first `instances` nodes.
    pub(super) fn rules(&self, instances: usize) -> Vec<Rule> {
        let all: Vec<usize> = (0..instances).collect();
        vec![Rule::one_way(&all, &all, self.shape.clone())]
    }
}

/// How fast each interface of a node is.
pub(super) fn set_uplink(lab: &Lab, node: usize, uplink: Uplink) -> Result<(), LabError> {
    (0..lab.bridges()).try_for_each(|bridge| lab.set_uplink(node, bridge, uplink))
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (name, time) in [
            ("latency", self.shape.latency),
            ("jitter", self.shape.jitter),
        ] {
            if !time.is_zero() {
                parts.push(format!("{name} {}", humantime::format_duration(time)));
            }
        }
        for (name, share) in [
            ("lost", self.shape.loss),
            ("twice", self.shape.duplicate),
            ("overtaking", self.shape.reorder),
        ] {
            if share > 0.0 {
                // As many digits as a person typed.
                parts.push(format!("{}% {name}", (share * 1e8).round() / 1e6));
            }
        }
        for (name, rate) in [("up", self.uplink.up), ("down", self.uplink.down)] {
            if let Some(rate) = rate {
                parts.push(format!("{} Mbit/s {name}", rate as f64 / 1e6));
            }
        }
        f.write_str(&parts.join(", "))
    }
}

impl Job {
    /// Whether packets go through the switch.
    pub(super) fn has_switch(&self) -> bool {
        self.switch
            || self.layout.switch
            || !self.network.is_perfect()
            || self.faults.iter().any(|fault| fault.kind.is_of_network())
    }
}
