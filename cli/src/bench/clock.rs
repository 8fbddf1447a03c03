//! Wall time and processor time of a phase: whether the processor or something else was
//! the bottleneck shows only in both.

use std::time::{Duration, Instant};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// How long something took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    /// By the clock on the wall.
    pub(super) wall: Duration,
    /// Of all processors together, by this process.
    pub(super) cpu: Duration,
}

/// Runs since it was started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    wall: Instant,
    cpu: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: used(),
        }
    }

    pub(super) fn took(&self) -> Took {
        Took {
            wall: self.wall.elapsed(),
            cpu: used().saturating_sub(self.cpu),
        }
    }
}

/// Processor time of this process so far; zero where the system does not tell.
fn used() -> Duration {
    getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    })
}
