//! The shared web cache against a central one (Squirrel, section 5; Q14 and Q15).

use std::path::Path;

use webcache_core::Scheme;

use super::{Made, Options, TableError};
use crate::dice::{Dice, Purpose};
use crate::lookups::{self, Target};
use crate::report::{Goal, Progress, Reading, Table, collate};
use crate::webcache::{CAMBRIDGE, REDMOND, Run, Site, Trace, central, read_log, run, synthetic};
use crate::{Contact, Settings, Sim, formation, paper};

const MEGABYTE: u64 = 1_000_000;

/// Room at each node: with the first the paper's caches are as good as they get, the second is
/// what it calls reasonable.
const ROOMS: [u64; 2] = [100, 10];

/// Lookups by which hops are measured.
const LOOKUPS: usize = 20_000;

/// Home-store is to be this close to the central cache: percentage points, and percent.
const HIT_RATIO_GOAL: f64 = 1.0;
const EXTERNAL_GOAL: f64 = 2.0;

const SCHEMES: [(Scheme, &str); 2] = [
    (Scheme::HomeStore, "home-store"),
    (Scheme::Directory, "directory"),
];

/// A site, and the rooms it is run with.
fn sites(options: &Options) -> Vec<(&'static Site, f64, &'static [u64])> {
    let clients = |most: usize, site: &Site| (most as f64 / f64::from(site.clients)).min(1.0);
    match options.quick {
        true => vec![
            (&REDMOND, clients(200, &REDMOND), &ROOMS[..1]),
            (&CAMBRIDGE, clients(40, &CAMBRIDGE), &ROOMS),
        ],
        // At Redmond nothing has to go: a client's day is a few megabytes.
        false => vec![
            (&REDMOND, clients(options.most_nodes, &REDMOND), &ROOMS[..1]),
            (&CAMBRIDGE, clients(options.most_nodes, &CAMBRIDGE), &ROOMS),
        ],
    }
}

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let sites = sites(options);
    let nodes: f64 = sites
        .iter()
        .map(|(site, share, _)| f64::from(site.clients) * share)
        .sum();
    let bar = options.bar("joining", nodes as usize);
    let readings = options.each_seed(|seed| {
        let mut all = Vec::new();
        for (site, share, rooms) in &sites {
            let trace = synthetic(site, *share, seed);
            let (sim, hops) = network(trace.clients, seed, &bar)?;
            for room in *rooms {
                let cited = (*share == 1.0).then_some(site.name == REDMOND.name);
                all.extend(measure(&trace, &sim, hops, *room, seed, site.name, cited));
            }
        }
        Ok(all)
    })?;
    bar.finish();
    let shown = |(site, share, _): &(&Site, f64, _)| {
        format!(
            "{} with {:.0} clients",
            site.name,
            f64::from(site.clients) * share
        )
    };
    Ok(Made {
        title: "The shared web cache".to_owned(),
        setup: format!(
            "Synthetic traces with the parameters of the paper's: {}. Popularity is Zipf-like with \
             exponent 0.8, sizes are lognormal, requests a Poisson process with a daily rise and fall, \
             nothing becomes stale. So the central cache's ratio is the paper's by construction, and \
             what is compared is how near ours comes to it. Room: MB a node, and as much in all for the \
             central cache, an LRU as each node has one. Hit ratio: percentage of all requests, those of \
             what cannot be cached included. Hops are measured by {LOOKUPS} lookups in a network of as \
             many nodes, one more for each direct message, none for what the client has itself. Served: \
             bodies sent to other nodes. Lost: percentage of cached bytes that nobody can get any more \
             when one node fails.",
            sites.iter().map(shown).collect::<Vec<_>>().join(", ")
        ),
        axis: "",
        readings,
    })
}

/// As many nodes as clients, and the mean hops from one of them to a key's root.
fn network(clients: u32, seed: u64, bar: &Progress) -> Result<(Sim, f64), TableError> {
    let mut sim = Sim::new(&Settings::calm(seed))?;
    formation::grow(
        &mut sim,
        clients as usize,
        Contact::Nearest,
        &mut bar.clone(),
    )
    .map_err(|source| TableError::Join { seed, source })?;
    let mut dice = Dice::new(seed, Purpose::Lookups);
    let hops = lookups::run(&mut sim, LOOKUPS, Target::Keys, &mut dice).mean_hops();
    Ok((sim, hops))
}

/// Both schemes beside the central cache. `cited` says whether the trace is Redmond's or
/// Cambridge's in full; `None` where the paper's figures are of something else.
fn measure(
    trace: &Trace,
    sim: &Sim,
    hops: f64,
    room: u64,
    seed: u64,
    name: &str,
    cited: Option<bool>,
) -> Vec<Reading> {
    let of = format!("{name}, {room} MB");
    let all = trace.all_requests() as f64;
    let (trips, bytes) = central(trace, room * MEGABYTE * u64::from(trace.clients));
    let ratio = |trips: u64| 100.0 * (1.0 - trips as f64 / all);
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    // The paper's are with room for everything.
    let cited = cited.filter(|_| room == ROOMS[0]);
    let known = |directory| cited.map(|redmond| paper::squirrel(redmond, directory));
    let reading = |scheme: &str, what: &str, value: f64| {
        Reading::new(what.to_owned(), format!("{of}, {scheme}: {what}"), value)
    };
    let mut all_readings = vec![
        reading("central", "hit ratio", ratio(trips)).with_paper(known(false).map(|p| p.hit_ratio)),
        reading("central", "external, GB", gigabytes(bytes))
            .with_paper(known(false).map(|p| p.external)),
    ];
    for (scheme, text) in SCHEMES {
        let run = run(trace, scheme, room * MEGABYTE, sim.ring(), seed);
        let known = known(scheme == Scheme::Directory);
        let below = ratio(trips) - ratio(run.trips);
        let above = 100.0 * (run.external as f64 / bytes as f64 - 1.0);
        let goal = |reading: Reading, most| match scheme {
            Scheme::HomeStore if room == ROOMS[0] => reading.with_goal(Goal::AtMost(most)),
            Scheme::HomeStore | Scheme::Directory => reading,
        };
        let read = |what: &str, value| reading(text, what, value);
        all_readings.extend([
            read("hit ratio", ratio(run.trips)).with_paper(known.map(|p| p.hit_ratio)),
            goal(
                read("points below the central cache", below),
                HIT_RATIO_GOAL,
            ),
            read("external, GB", gigabytes(run.external)).with_paper(known.map(|p| p.external)),
            goal(
                read("external, % above the central cache", above),
                EXTERNAL_GOAL,
            ),
            read("hops to the home", hops),
            at_most(
                read(
                    "hops a request, answer included",
                    hops_of(&run, trace, hops),
                ),
                known.map(|p| p.hops),
            ),
            read(
                "served a minute and node",
                run.served as f64 / trace.minutes() / f64::from(trace.clients),
            ),
            at_most(
                read("served in a second, most", run.most_served[0] as f64),
                known.map(|p| p.most_served[0]),
            ),
            at_most(
                read("served in a minute, most", run.most_served[1] as f64),
                known.map(|p| p.most_served[1]),
            ),
            // No goal: in home-store it is one part in as many as there are nodes.
            read("lost with a node, %", 100.0 * run.lost[0]).with_paper(known.map(|p| p.lost[0])),
            at_most(
                read("lost with a node, %, most", 100.0 * run.lost[1]),
                known.map(|p| p.lost[1]),
            ),
            read("kept, MB a node", run.kept / MEGABYTE as f64),
            read("requests without an answer", run.unanswered as f64).with_goal(Goal::AtMost(0.0)),
        ]);
    }
    all_readings
}

/// The paper's figure, which ours is to be equal to or better than.
fn at_most(reading: Reading, cited: Option<paper::Cited>) -> Reading {
    match cited {
        Some(cited) => reading
            .with_paper(cited)
            .with_goal(Goal::AtMost(cited.value)),
        None => reading,
    }
}

fn hops_of(run: &Run, trace: &Trace, hops: f64) -> f64 {
    (run.routed as f64 * hops + run.direct as f64) / trace.requests.len() as f64
}

/// The same for an access log in common log format, with this room at each node.
///
/// # Errors
/// When the log cannot be read, or a run fails.
pub fn of_log(path: &Path, room: u64, options: &Options) -> Result<Table, TableError> {
    let trace = read_log(path)?;
    let bar = options.bar("joining", trace.clients as usize);
    let readings = options.each_seed(|seed| {
        let (sim, hops) = network(trace.clients, seed, &bar)?;
        Ok(measure(&trace, &sim, hops, room, seed, "log", None))
    })?;
    bar.finish();
    let seeds: Vec<String> = options.seeds.iter().map(u64::to_string).collect();
    Ok(Table {
        name: "webcache-log",
        title: "The shared web cache on an access log".to_owned(),
        setup: format!(
            "{} requests of {} clients in {:.0} minutes, {} of them of {} versions of what can be \
             cached. What is counted is as in `sim table webcache`.",
            trace.all_requests(),
            trace.clients,
            trace.minutes(),
            trace.requests.len(),
            trace.items.len(),
        ),
        axis: "",
        seeds: options.seeds.clone(),
        figures: collate(readings),
        command: format!(
            "sim webcache {} --room-mb {room} --seeds {}",
            path.display(),
            seeds.join(",")
        ),
    })
}
