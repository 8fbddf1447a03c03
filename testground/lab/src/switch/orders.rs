//! What the lab tells the switch, and what the switch answers: JSON lines (N10).

use serde::{Deserialize, Serialize};

use super::rules::Rule;
use super::shape::Uplink;

/// A node's interface on a LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Port {
    pub(crate) lan: usize,
    pub(crate) node: usize,
}

/// One line of the switch's standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Order {
    /// Makes a TAP device in the network namespace of a process and joins it.
    Plug {
        port: Port,
        pid: u32,
        interface: String,
        mac: [u8; 6],
    },
    /// Takes it away.
    Unplug { port: Port },
    /// Joins a port to an island of its LAN, or cuts its cable.
    Connect { port: Port, island: Option<usize> },
    /// All rules, in place of those before.
    Rules { rules: Vec<Rule> },
    /// How fast a port is.
    Uplink { port: Port, uplink: Uplink },
    /// What has passed so far.
    Stats,
}

/// One line of its standard output, for each of its input.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", content = "value", rename_all = "kebab-case")]
pub(crate) enum Reply {
    Done,
    Stats(SwitchStats),
    Failed(String),
}

/// What has passed a switch since it was made, in frames. One that goes to several ports
/// counts once for each behind `received`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchStats {
    /// Read from ports.
    pub received: u64,
    /// Written to ports.
    pub delivered: u64,
    /// Bytes written to ports.
    pub delivered_bytes: u64,
    /// Lost by a path's `loss`.
    pub lost: u64,
    /// Dropped by a path that is blocked.
    pub blocked: u64,
    /// Dropped because more than the queue waited for a rate.
    pub queue_full: u64,
    /// Larger than the path's MTU.
    pub too_large: u64,
    /// Sent twice by a path's `duplicate`.
    pub duplicated: u64,
    /// Damaged by a path's `corrupt`.
    pub corrupted: u64,
    /// No Ethernet frames, or for a port that went while they waited.
    pub invalid: u64,
    /// Dropped because the switch holds as much as it may.
    pub overflow: u64,
    /// Written that had to wait, for a latency or a rate.
    pub delayed: u64,
    /// Of these, written more than a millisecond after they were due.
    pub late: u64,
    /// The latest, microseconds after it was due.
    pub latest_micros: u64,
    /// How often the switch looked what there was to do.
    pub turns: u64,
    /// Of these, how often doing it took more than a millisecond, while new frames waited.
    pub slow_turns: u64,
    /// Dropped by the kernel before the switch read them; filled in by the lab.
    pub unread: u64,
    /// Processor time of the switch so far, milliseconds; filled in by the lab.
    pub cpu_millis: u64,
}

impl SwitchStats {
    /// Whether the switch, and not the program under test, is the bottleneck (N9).
    pub fn saturated(&self) -> bool {
        self.late * 100 > self.delayed
            || self.unread * 1000 > self.received
            || self.slow_turns * 100 > self.turns
            || self.overflow > 0
    }

    /// What has passed since an earlier look; the latest frame is that of all times.
    pub fn since(&self, earlier: &SwitchStats) -> SwitchStats {
        SwitchStats {
            received: self.received - earlier.received,
            delivered: self.delivered - earlier.delivered,
            delivered_bytes: self.delivered_bytes - earlier.delivered_bytes,
            lost: self.lost - earlier.lost,
            blocked: self.blocked - earlier.blocked,
            queue_full: self.queue_full - earlier.queue_full,
            too_large: self.too_large - earlier.too_large,
            duplicated: self.duplicated - earlier.duplicated,
            corrupted: self.corrupted - earlier.corrupted,
            invalid: self.invalid - earlier.invalid,
            overflow: self.overflow - earlier.overflow,
            delayed: self.delayed - earlier.delayed,
            late: self.late - earlier.late,
            latest_micros: self.latest_micros,
            turns: self.turns - earlier.turns,
            slow_turns: self.slow_turns - earlier.slow_turns,
            unread: self.unread.saturating_sub(earlier.unread),
            cpu_millis: self.cpu_millis - earlier.cpu_millis,
        }
    }
}
