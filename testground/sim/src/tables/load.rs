//! How evenly keys, pointers and forwarded messages lie on hosts, with one node on each and
//! with several.

use std::time::Duration;

use super::{Made, Options, TableError};
use crate::dice::{Dice, Purpose};
use crate::lookups::{self, Target};
use crate::report::{Progress, Reading};
use crate::{Contact, Settings, Sim, Unobserved, formation, objects, paper};

/// Hosts of the whole table.
const HOSTS: usize = 1_000;

/// Nodes on each host: one, some, and the binary logarithm of the hosts, with which the
/// heaviest load is a constant away from the mean (Karger et al., STOC 1997).
const PER_HOST: [u32; 3] = [1, 4, 10];

/// For each host, on average.
const KEYS: usize = 100;
const OBJECTS: usize = 5;
const LOOKUPS: usize = 50;

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let (hosts, counts): (usize, &[u32]) = match options.quick {
        true => (60, &[1, 6]),
        false => (HOSTS.min(options.most_nodes / 10).max(1), &PER_HOST),
    };
    let nodes: usize = counts.iter().map(|count| hosts * *count as usize).sum();
    let bar = options.bar("joining", nodes);
    let readings = options.each_seed(|seed| {
        let mut all = Vec::new();
        for per_host in counts {
            all.extend(measure(seed, hosts, *per_host, &bar)?);
        }
        Ok(all)
    })?;
    bar.finish();
    Ok(Made {
        title: format!("Load on {hosts} hosts"),
        setup: format!(
            "The Pastry paper's plane; the nodes on one host have identifiers of their own and no \
             distance from each other. For each host {KEYS} random keys, each with the node closest \
             to it; {OBJECTS} objects that random nodes publish, and the pointers kept for them; \
             {LOOKUPS} lookups of random keys by random nodes, and how often each host passes one on \
             for another node. What is derived is the gamma distribution of shares of the ring."
        ),
        axis: "nodes a host",
        readings,
    })
}

fn measure(
    seed: u64,
    hosts: usize,
    per_host: u32,
    bar: &Progress,
) -> Result<Vec<Reading>, TableError> {
    let settings = Settings {
        per_host,
        ..Settings::calm(seed)
    };
    let mut sim = Sim::new(&settings)?;
    let nodes = hosts * per_host as usize;
    formation::grow(&mut sim, nodes, Contact::Nearest, &mut bar.clone())
        .map_err(|source| TableError::Join { seed, source })?;
    let mut dice = Dice::new(seed, Purpose::Lookups);
    let mut keys = vec![0; hosts];
    for _ in 0..KEYS * hosts {
        if let Some(root) = sim.ring().root(dice.guid()) {
            keys[sim.network().host(root) as usize] += 1;
        }
    }
    // Counted before there are pointers, whose ways are none of the routed messages.
    let before = forwarded(&sim, hosts);
    let log = lookups::run(&mut sim, LOOKUPS * hosts, Target::Keys, &mut dice);
    let mut passed = forwarded(&sim, hosts);
    for (passed, before) in passed.iter_mut().zip(before) {
        *passed -= before;
    }
    for lookup in &log.lookups {
        // The first hop of its own lookups, unless they ended where they began.
        let moved = lookup.end.is_none_or(|end| end.hops > 0);
        passed[sim.network().host(lookup.from) as usize] -= u64::from(moved);
    }
    let mut offers = Dice::new(seed, Purpose::Objects);
    objects::publish(&mut sim, OBJECTS * hosts, 1, &mut offers);
    sim.run_until_quiet(Duration::from_secs(60), &mut Unobserved);
    let mut pointers = vec![0; hosts];
    for node in sim.live() {
        let kept = sim.overlay(node).map(|overlay| overlay.pointers().count());
        pointers[sim.network().host(node) as usize] += kept.unwrap_or_default() as u64;
    }
    let keys = figures("keys", per_host, keys).into_iter().map(|reading| {
        let is_p95 = reading
            .label()
            .starts_with("keys: 95th percentile over mean");
        reading.with_paper(paper::keys_p95(per_host).filter(|_| is_p95))
    });
    let pointers = figures("pointers", per_host, pointers);
    let passed = figures("messages passed on", per_host, passed);
    Ok(keys.chain(pointers).chain(passed).collect())
}

/// Routed messages that each host's nodes have sent on, their own among them.
fn forwarded(sim: &Sim, hosts: usize) -> Vec<u64> {
    let mut all = vec![0; hosts];
    for node in sim.live() {
        let count = sim.overlay(node).map(|overlay| overlay.stats().forwarded);
        all[sim.network().host(node) as usize] += count.unwrap_or_default();
    }
    all
}

/// How a load lies on the hosts.
fn figures(what: &str, per_host: u32, mut loads: Vec<u64>) -> Vec<Reading> {
    loads.sort_unstable();
    let count = loads.len().max(1);
    let mean = loads.iter().sum::<u64>() as f64 / count as f64;
    let at = |share: f64| {
        let at = ((count as f64 * share) as usize).min(count - 1);
        loads.get(at).copied().unwrap_or_default() as f64
    };
    let (median, p95, most) = (at(0.5), at(0.95), at(1.0));
    let over = |load: f64| if mean > 0.0 { load / mean } else { 0.0 };
    let nodes = match per_host {
        1 => "1 node a host".to_owned(),
        more => format!("{more} nodes a host"),
    };
    [
        ("mean", mean),
        ("median", median),
        ("95th percentile", p95),
        ("most", most),
        ("95th percentile over mean", over(p95)),
        ("most over mean", over(most)),
    ]
    .into_iter()
    .map(|(name, value)| {
        let series = format!("{what}: {name}");
        let label = format!("{series}, {nodes}");
        Reading::new(series, label, value).with_x(per_host.into())
    })
    .collect()
}
