//! Time and memory of the simulator itself, one network at a time.

use super::{Made, Options, TableError};
use crate::dice::{Dice, Purpose};
use crate::lookups::{self, Target};
use crate::report::{Goal, Reading};
use crate::{Contact, Settings, Sim, formation};

/// Seconds that 100,000 joins and 200,000 lookups may take.
const SECONDS: f64 = 180.0;

/// Memory they may take, in MiB.
const MEBIBYTES: f64 = 2048.0;

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let nodes = if options.quick {
        1_000
    } else {
        options.most_nodes
    };
    let lookups = if options.quick { 2_000 } else { 200_000 };
    let bar = options.bar("joining", nodes);
    let mut readings = Vec::new();
    // One after the other: side by side they would share the memory and the clock.
    for seed in &options.seeds {
        let seed = *seed;
        let begin = seconds();
        let mut sim = Sim::new(&Settings::calm(seed))?;
        formation::grow(&mut sim, nodes, Contact::Nearest, &mut bar.clone())
            .map_err(|source| TableError::Join { seed, source })?;
        let joined = seconds() - begin;
        let mut dice = Dice::new(seed, Purpose::Lookups);
        let log = lookups::run(&mut sim, lookups, Target::Nodes, &mut dice);
        let whole = seconds() - begin;
        let events = sim.events() as f64;
        let mebibytes = resident() as f64 / f64::from(1 << 20);
        let mut all = vec![
            Reading::new("s", format!("CPU seconds for {nodes} joins"), joined),
            Reading::new("s", format!("CPU seconds with {lookups} lookups"), whole),
            Reading::new("MiB", "MiB resident", mebibytes),
            Reading::new("KiB", "KiB a node", mebibytes * 1024.0 / nodes as f64),
            Reading::new("events", "million events a second", events / whole / 1e6),
            Reading::new(
                "ended",
                "share of lookups ended",
                log.ended().count() as f64 / lookups as f64,
            ),
        ];
        if nodes == 100_000 {
            all[1] = all[1].clone().with_goal(Goal::AtMost(SECONDS));
            all[2] = all[2].clone().with_goal(Goal::AtMost(MEBIBYTES));
        }
        readings.push(all);
    }
    bar.finish();
    Ok(Made {
        title: format!("Time and memory for {nodes} nodes"),
        setup: "Joined one after the other by protocol, then lookups between random nodes, on one \
                core. Seconds are those that this thread had the processor for, so that others on the \
                machine do not count. Memory is what the process holds at the end of the run."
            .to_owned(),
        axis: "",
        readings,
    })
}

/// Seconds this thread has had a processor for, or 0 where the system does not say.
fn seconds() -> f64 {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = status
        .split(' ')
        .next()
        .and_then(|nanos| nanos.parse().ok());
    nanos.unwrap_or(0.0) / 1e9
}

/// Bytes of memory the process holds, or 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    kibibytes
        .and_then(|number| number.trim().parse::<u64>().ok())
        .unwrap_or_default()
        * 1024
}
