//! What a process and an interface have used, from `/proc`.

use std::time::Duration;

/// Ticks per second of the times in `/proc/PID/stat`: `USER_HZ`, which is part
/// of Linux's interface and 100 on every architecture that Rust's standard
/// library supports there, bar Alpha.
const USER_HZ: u64 = 100;

/// What a process holds and has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory now, bytes (`VmRSS`).
    pub resident: u64,
    /// The most resident memory so far, bytes (`VmHWM`).
    pub peak_resident: u64,
    /// Processor time so far, user and system, all threads.
    pub cpu: Duration,
    /// Threads now.
    pub threads: u64,
    /// Open file descriptors now.
    pub files: u64,
}

impl Usage {
    /// Reads the usage of a running process; `None` when there is none.
    pub(crate) fn of(pid: u32) -> Option<Usage> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        Some(Usage {
            resident: status_field(&status, "VmRSS:")? * 1024,
            peak_resident: status_field(&status, "VmHWM:")? * 1024,
            cpu: cpu(&stat)?,
            threads: status_field(&status, "Threads:")?,
            files: files as u64,
        })
    }
}

/// Bytes and packets through an interface since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes received.
    pub received_bytes: u64,
    /// Packets received.
    pub received_packets: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Packets that were to be sent and were dropped.
    pub sent_dropped: u64,
}

impl Traffic {
    /// Reads the counters of `interface` in the network namespace of `pid`.
    pub(crate) fn of(pid: u32, interface: &str) -> Option<Traffic> {
        let table = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
        parse_net_dev(&table, interface)
    }
}

fn status_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn cpu(stat: &str) -> Option<Duration> {
    // The second field, the name, may hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / USER_HZ))
}

fn parse_net_dev(table: &str, interface: &str) -> Option<Traffic> {
    let counters = table.lines().find_map(|line| {
        let (name, counters) = line.split_once(':')?;
        (name.trim() == interface).then_some(counters)
    })?;
    let counters: Vec<u64> = counters
        .split_whitespace()
        .map_while(|n| n.parse().ok())
        .collect();
    Some(Traffic {
        received_bytes: *counters.first()?,
        received_packets: *counters.get(1)?,
        sent_bytes: *counters.get(8)?,
        sent_packets: *counters.get(9)?,
        sent_dropped: *counters.get(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 9 9 9";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn interface_counters_are_found_by_exact_name() {
        let table = "Inter-| Receive\n eth10: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth1:  1234 5 0 0 0 0 0 2 678 9 0 3 0 0 0 0\n";
        let expected = Traffic {
            received_bytes: 1234,
            received_packets: 5,
            sent_bytes: 678,
            sent_packets: 9,
            sent_dropped: 3,
        };
        assert_eq!(parse_net_dev(table, "eth1"), Some(expected));
        assert_eq!(parse_net_dev(table, "eth2"), None);
    }

    #[test]
    fn our_own_usage_reads() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident > 0 && usage.peak_resident >= usage.resident);
    }
}
