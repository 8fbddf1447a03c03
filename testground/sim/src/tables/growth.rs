//! One network that grows, measured at each size: the figures 4 to 6 of the Pastry paper
//! come from the same runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use super::{Options, TableError};
use crate::dice::{Dice, Purpose};
use crate::lookups::{self, Log, Target};
use crate::oracle::Oracle;
use crate::{Contact, Kind, Settings, Sim, Traffic, formation};

/// Most hops counted one by one.
pub(super) const MOST_HOPS: usize = 8;

/// Routes whose length with complete tables is worked out.
const COMPLETE_ROUTES: usize = 20_000;

/// The last joins before a size is reached, whose messages are counted.
pub(super) const COUNTED_JOINS: usize = 200;

/// What was measured at one size.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) nodes: usize,
    pub(super) hops: f64,
    /// The share of each number of hops.
    pub(super) shares: [f64; MOST_HOPS],
    pub(super) stretch: f64,
    /// What the same lookups would have had with complete tables.
    pub(super) complete_stretch: f64,
    /// Messages a join by kind, over the last joins.
    pub(super) join: [f64; Kind::ALL.len()],
}

/// Networks that have grown already, by seed.
#[derive(Clone, Debug, Default)]
pub struct Growths(Arc<Mutex<BTreeMap<u64, Arc<Vec<Measured>>>>>);

/// The sizes at which the paper measures, or small ones.
pub(super) fn sizes(options: &Options) -> Vec<usize> {
    let sizes: Vec<usize> = if options.quick {
        vec![200, 500, 1_000]
    } else {
        (1..=10)
            .map(|thousands| thousands * 1_000)
            .chain((2..=10).map(|tens| tens * 10_000))
            .collect()
    };
    let within = |size: &usize| *size <= options.most_nodes;
    sizes.into_iter().filter(within).collect()
}

/// Lookups at each size.
pub(super) fn lookup_count(options: &Options) -> usize {
    if options.quick { 5_000 } else { 200_000 }
}

/// How the networks of these tables come to be, for the tables' own words.
pub(super) fn setup(options: &Options) -> String {
    let lookups = lookup_count(options);
    format!(
        "Nodes join one after the other by the nearest node on the plane, b = 4, |L| = 16, |M| = 32; \
         at each size {lookups} lookups between random nodes, all by messages."
    )
}

/// Every seed's measurements. The networks grow once, whichever tables ask.
pub(super) fn of_all_seeds(options: &Options) -> Result<Vec<Arc<Vec<Measured>>>, TableError> {
    let most = sizes(options).last().copied().unwrap_or_default();
    let bar = options.bar("growing", most);
    let all = options
        .seeds
        .par_iter()
        .map(|seed| {
            let known = options.growths.0.lock().expect("nobody panics holding it");
            if let Some(measured) = known.get(seed) {
                return Ok(Arc::clone(measured));
            }
            drop(known);
            let measured = Arc::new(grow(*seed, options, &mut bar.clone())?);
            let mut known = options.growths.0.lock().expect("nobody panics holding it");
            known.insert(*seed, Arc::clone(&measured));
            Ok(measured)
        })
        .collect();
    bar.finish();
    all
}

fn grow(
    seed: u64,
    options: &Options,
    progress: &mut crate::report::Progress,
) -> Result<Vec<Measured>, TableError> {
    let mut sim = Sim::new(&Settings::calm(seed))?;
    let mut dice = Dice::new(seed, Purpose::Lookups);
    let mut grow = |sim: &mut Sim, nodes: usize| {
        formation::grow(sim, nodes, Contact::Nearest, progress)
            .map_err(|source| TableError::Join { seed, source })
    };
    let mut all = Vec::new();
    for nodes in sizes(options) {
        let counted = COUNTED_JOINS.min(nodes / 4);
        grow(&mut sim, nodes - counted)?;
        let before = *sim.traffic();
        grow(&mut sim, nodes)?;
        let joins = sim.traffic().since(&before);
        let log = lookups::run(&mut sim, lookup_count(options), Target::Nodes, &mut dice);
        let lost = log.lookups.len() - log.ended().count();
        if log.wrong + log.repeated + lost as u64 > 0 {
            let what = format!(
                "{} wrong, {} repeated, {lost} lost lookups where nothing goes wrong",
                log.wrong, log.repeated
            );
            return Err(TableError::Lookups { seed, nodes, what });
        }
        all.push(measure(&sim, nodes, &log, &joins, counted));
    }
    Ok(all)
}

fn measure(sim: &Sim, nodes: usize, log: &Log, joins: &Traffic, counted: usize) -> Measured {
    let mut shares = [0.0; MOST_HOPS];
    for (_, end) in log.ended() {
        shares[usize::from(end.hops).min(MOST_HOPS - 1)] += 1.0 / log.lookups.len() as f64;
    }
    let oracle = Oracle::new(sim);
    let (mut way, mut direct) = (0, 0);
    for (lookup, end) in log.ended().take(COMPLETE_ROUTES) {
        way += oracle.complete_route(lookup.from, lookup.key).0;
        direct += sim.network().latency(lookup.from, end.at);
    }
    Measured {
        nodes,
        hops: log.mean_hops(),
        shares,
        stretch: log.stretch(sim),
        complete_stretch: way as f64 / direct as f64,
        join: Kind::ALL.map(|kind| joins.of(kind) as f64 / counted as f64),
    }
}
