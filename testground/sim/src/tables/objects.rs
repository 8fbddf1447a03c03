//! How much longer the way to an object's nearest holder is than it need be, by distance,
//! and what extra pointers bring and cost (Tapestry, section V-C, figure 15).

use std::time::Duration;

use overlay_core::LocationConfig;
use rayon::prelude::*;

use super::{Made, Options, TableError};
use crate::dice::{Dice, Purpose};
use crate::network::{Shape, TransitStubShape};
use crate::objects::{self, Errands};
use crate::report::{Goal, Progress, Reading};
use crate::{Contact, Kind, Settings, Sim, Unobserved, formation, paper};

/// The size of the paper's network.
const PAPER_NODES: usize = 1_092;

/// Distances are put together up to these round-trip times, in milliseconds: the paper's
/// readings lie in the middle of each.
const BINS: [(f64, f64); 5] = [
    (0.0, 20.0),
    (20.0, 50.0),
    (50.0, 80.0),
    (80.0, 130.0),
    (130.0, f64::INFINITY),
];

/// The share of the shortest distances that the goal leaves out: there a single hop to
/// anywhere else is many times the direct way.
const NEAR_SHARE: f64 = 0.05;

/// The holders of an object that has several.
const SEVERAL: usize = 5;

/// The paper's settings, by its names: one root, and no copies beside it, which it has not.
const PAPERS: [(&str, [u8; 3]); 5] = [
    ("none", [0, 0, 0]),
    ("(1,1,1)", [1, 1, 1]),
    ("(1,5,1)", [1, 5, 1]),
    ("(1,1,3)", [1, 1, 3]),
    ("(1,5,3)", [1, 5, 3]),
];

/// Ours.
const OURS: &str = "ours";

/// All settings, by name.
fn variants() -> Vec<(&'static str, LocationConfig)> {
    let papers = PAPERS.map(|(name, [backups, neighbours, spread_hops])| {
        let location = LocationConfig {
            roots: 1,
            root_copies: 0,
            backups,
            neighbours,
            spread_hops,
            ..LocationConfig::default()
        };
        (name, location)
    });
    // What several roots bring without anything beside the ways.
    let plain = LocationConfig {
        root_copies: 0,
        backups: 0,
        neighbours: 0,
        spread_hops: 0,
        ..LocationConfig::default()
    };
    let ours = [("all roots", plain), (OURS, LocationConfig::default())];
    papers.into_iter().chain(ours).collect()
}

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let (nodes, count) = match options.quick {
        true => (120, 20),
        false => (PAPER_NODES.min(options.most_nodes), 60),
    };
    let size = Size {
        quick: options.quick,
        nodes,
        count,
    };
    let variants = variants();
    let bar = options.bar("joining", nodes * variants.len());
    let readings = options.each_seed(|seed| {
        let all: Result<Vec<Vec<Reading>>, TableError> = variants
            .par_iter()
            .map(|(name, location)| measure(seed, name, location, size, &bar))
            .collect();
        Ok(all?.into_iter().flatten().collect())
    })?;
    bar.finish();
    Ok(Made {
        title: format!("The way to the nearest holder, {nodes} nodes"),
        setup: format!(
            "Transit-stub network, nodes join by the nearest. {count} objects with one holder and \
             {count} with {SEVERAL}; every other node sends each a message. Stretch: the time until \
             a holder has it over the direct way to the nearest holder. Distances are round-trip \
             times. (k,l,m), one root: pointers with k backups of the next hop and l neighbours at \
             each of the first m hops; all roots: as many as ours, nothing beside the ways; ours: {}. \
             Beyond the nearest {:.0}% of all pairs by distance: the goal, for all together and for \
             each tenth of them by distance. The paper's figures are read by eye at the middle of \
             each range, and are the 90th percentile's but for the medians without extra pointers, \
             which are PlanetLab's.",
            our_defaults(),
            NEAR_SHARE * 100.0
        ),
        axis: "round-trip time to the nearest holder, ms",
        readings,
    })
}

/// The defaults, with the paper's notation.
fn our_defaults() -> String {
    let LocationConfig {
        roots,
        root_copies,
        backups,
        neighbours,
        spread_hops,
        ..
    } = LocationConfig::default();
    format!(
        "{roots} roots, {root_copies} copies beside each, and ({backups},{neighbours},{spread_hops})"
    )
}

/// How large the network is, and how many objects of each sort there are.
#[derive(Clone, Copy)]
struct Size {
    quick: bool,
    nodes: usize,
    count: usize,
}

fn measure(
    seed: u64,
    name: &'static str,
    location: &LocationConfig,
    size: Size,
    bar: &Progress,
) -> Result<Vec<Reading>, TableError> {
    let Size {
        quick,
        nodes,
        count,
    } = size;
    let mut settings = Settings::calm(seed);
    settings.overlay.location = location.clone();
    settings.shape = shape(quick);
    let mut sim = Sim::new(&settings)?;
    formation::grow(&mut sim, nodes, Contact::Nearest, &mut bar.clone())
        .map_err(|source| TableError::Join { seed, source })?;
    let mut dice = Dice::new(seed, Purpose::Objects);
    let mut all = Vec::new();
    for holders in [1, SEVERAL] {
        let before = (*sim.traffic(), pointers(&sim));
        let objects = objects::publish(&mut sim, count, holders, &mut dice);
        sim.run_until_quiet(Duration::from_secs(60), &mut Unobserved);
        let messages = sim.traffic().since(&before.0).of(Kind::Location);
        let kept = pointers(&sim) - before.1;
        let errands = objects::send_all(&mut sim, &objects, 1.0, &mut dice);
        if holders == 1 {
            all.extend(bins(name, &errands));
            let per_object = |what, value: f64| {
                Reading::new(what, format!("{what}, {name}"), value / count as f64)
            };
            all.push(per_object("pointers an object", kept as f64));
            all.push(per_object("messages to publish an object", messages as f64));
        }
        all.extend(whole(name, holders, &errands));
    }
    Ok(all)
}

/// The paper's size, or a network in which few nodes are near each other as well.
fn shape(quick: bool) -> Shape {
    let usual = TransitStubShape::default();
    Shape::TransitStub(match quick {
        false => usual,
        true => TransitStubShape {
            transit_domains: 3,
            transit_routers: 2,
            stubs_per_router: 3,
            ..usual
        },
    })
}

/// Pointers that all nodes keep together.
fn pointers(sim: &Sim) -> usize {
    let live = sim.live().filter_map(|node| sim.overlay(node));
    live.map(|overlay| overlay.pointers().count()).sum()
}

/// The median and the 90th percentile in each range of distances.
fn bins(name: &str, errands: &Errands) -> Vec<Reading> {
    let mut all = Vec::new();
    for (at, (from, to)) in BINS.into_iter().enumerate() {
        let within = |direct: u64| {
            let ping = 2.0 * direct as f64 / 1_000.0;
            (from..to).contains(&ping)
        };
        let near = errands.all.iter().filter(|errand| within(errand.direct));
        let near: Vec<f64> = near.filter_map(objects::Errand::stretch).collect();
        let range = match to.is_finite() {
            true => format!("{from:.0} to {to:.0} ms"),
            false => format!("from {from:.0} ms"),
        };
        let middle = if to.is_finite() {
            (from + to) / 2.0
        } else {
            1.2 * from
        };
        let reading = |what: &str, share: f64| {
            let label = format!("{what}, {range}, {name}");
            Reading::new(format!("{what}, {name}"), label, quantile(&near, share)).with_x(middle)
        };
        all.push(reading("median", 0.5).with_paper(paper::object_median(name, at)));
        all.push(reading("90th percentile", 0.9).with_paper(paper::object_p90(name, at)));
    }
    all
}

/// What all distances beyond the nearest have, together and tenth by tenth.
fn whole(name: &str, holders: usize, errands: &Errands) -> Vec<Reading> {
    let mut reached: Vec<(u64, f64)> = errands
        .all
        .iter()
        .filter_map(|errand| Some((errand.direct, errand.stretch()?)))
        .collect();
    reached.sort_by_key(|(direct, _)| *direct);
    let far = &reached[(reached.len() as f64 * NEAR_SHARE) as usize..];
    let begins = far
        .first()
        .map_or(0.0, |(direct, _)| 2.0 * *direct as f64 / 1_000.0);
    let far: Vec<f64> = far.iter().map(|(_, stretch)| *stretch).collect();
    let tenths = far.chunks(far.len().div_ceil(10).max(1));
    let worst = tenths.map(|tenth| quantile(tenth, 0.5)).fold(0.0, f64::max);
    let lost = errands.all.len() - reached.len();
    let holders = match holders {
        1 => "1 holder".to_owned(),
        more => format!("{more} holders"),
    };
    let reading = |what: &str, value: f64| {
        let label = format!("{what}, {holders}, {name}");
        Reading::new(format!("{what}, {holders}"), label, value)
    };
    let is_ours = name == OURS;
    let wanted = |reading: Reading, goal| match is_ours {
        true => reading.with_goal(goal),
        false => reading,
    };
    vec![
        reading("the nearest 5% end at, ms", begins),
        wanted(
            reading("median beyond the nearest 5%", quantile(&far, 0.5))
                .with_paper(Some(paper::OBJECT_STRETCH).filter(|_| is_ours)),
            Goal::AtMost(2.0),
        ),
        wanted(
            reading("largest median of a tenth beyond the nearest 5%", worst),
            Goal::AtMost(2.0),
        ),
        reading("90th percentile beyond the nearest 5%", quantile(&far, 0.9)),
        reading("messages that reached nobody", lost as f64).with_goal(Goal::AtMost(0.0)),
    ]
}

/// The value below which this share of all lies; 0 where there is none.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at).or(sorted.last()).copied().unwrap_or(0.0)
}
