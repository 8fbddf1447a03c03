//! A tenth of all nodes fails at once without a word (Pastry, figures 9 and 10).

use std::time::Duration;

use super::{Made, Options, TableError};
use crate::dice::{Dice, Purpose};
use crate::lookups::{self, Target};
use crate::oracle::Oracle;
use crate::report::{Goal, Progress, Reading};
use crate::{Contact, Kind, Node, Settings, Sim, Unobserved, formation, paper};

/// The size of the paper's network.
const PAPER_NODES: usize = 5_000;

/// How long nodes have to find the dead and mend what they left.
const REPAIR: Duration = Duration::from_secs(600);

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let nodes = if options.quick {
        300
    } else {
        PAPER_NODES.min(options.most_nodes)
    };
    let lookups = if options.quick { 2_000 } else { 200_000 };
    let bar = options.bar("joining", nodes);
    let readings = options.each_seed(|seed| measure(seed, nodes, lookups, &bar))?;
    bar.finish();
    Ok(Made {
        title: format!("A tenth of {nodes} nodes fails"),
        setup: format!(
            "{lookups} lookups of random keys before, right after, and 10 minutes after a tenth \
             of the nodes has died silently, with heartbeats every 2 s and table probes every \
             minute. The paper counts remote calls, a question and its answer as one, and repairs \
             only what lookups use; ours are messages, above what the survivors send in the same \
             time when nobody dies."
        ),
        axis: "",
        readings,
    })
}

fn measure(
    seed: u64,
    nodes: usize,
    lookups: usize,
    bar: &Progress,
) -> Result<Vec<Reading>, TableError> {
    let mut settings = Settings::calm(seed);
    // Dead nodes are found by heartbeats and by table probes, at the usual periods.
    let usual = overlay_core::Config::default();
    settings.overlay.heartbeat = usual.heartbeat;
    settings.overlay.table_probe = usual.table_probe;
    let mut sim = Sim::new(&settings)?;
    let mut schedule = Dice::new(seed, Purpose::Schedule);
    while sim.ring().len() < nodes {
        let node = sim.add();
        if let Some(known) = formation::introduce(&sim, node, Contact::Nearest, &mut schedule) {
            sim.tell(node, known);
        }
        formation::wait_until_active(&mut sim, node, &mut bar.clone())
            .map_err(|source| TableError::Join { seed, source })?;
    }
    sim.run(Duration::from_secs(5), &mut Unobserved);
    let mut dice = Dice::new(seed, Purpose::Lookups);
    let mut all = Vec::new();
    look(&mut sim, lookups, &mut dice, "before", 0, &mut all);
    let mut victims: Vec<Node> = sim.ring().iter().map(|(_, node)| node).collect();
    schedule.shuffle(&mut victims);
    victims.truncate(nodes / 10);
    // What the same time costs when nobody dies is no repair.
    let (before, begin) = (*sim.traffic(), sim.now());
    sim.run(REPAIR, &mut Unobserved);
    let idle_traffic = sim.traffic().since(&before);
    let idle = (idle_traffic.control() - idle_traffic.of(Kind::Ack)) as f64;
    let idle_time = sim.now().since(begin).as_secs_f64();
    let idle_a_second = idle / idle_time * 0.9;
    for victim in &victims {
        sim.crash(*victim);
    }
    let (before, begin) = (*sim.traffic(), sim.now());
    look(
        &mut sim,
        lookups,
        &mut dice,
        "after the failures",
        1,
        &mut all,
    );
    sim.run(REPAIR, &mut Unobserved);
    let traffic = sim.traffic().since(&before);
    // Acknowledgements belong to the lookups made meanwhile.
    let spent = (traffic.control() - traffic.of(Kind::Ack)) as f64;
    let idle = idle_a_second * sim.now().since(begin).as_secs_f64();
    look(&mut sim, lookups, &mut dice, "repaired", 2, &mut all);
    let repair = (spent - idle) / victims.len() as f64;
    all.push(
        Reading::new("repair", "messages a failed node, above idle", repair)
            .with_paper(Some(paper::REPAIR_CALLS).filter(|_| nodes == PAPER_NODES)),
    );
    let times = sim.now().since(begin).as_secs_f64() / idle_time * 0.9;
    for kind in [Kind::LeafProbe, Kind::Ping, Kind::State, Kind::Heartbeat] {
        let spent = traffic.of(kind) as f64 - idle_traffic.of(kind) as f64 * times;
        let label = format!("of these {}", kind.name());
        all.push(Reading::new(
            kind.name(),
            label,
            spent / victims.len() as f64,
        ));
    }
    Ok(all)
}

/// Hops, lost lookups and table quality at one moment.
fn look(
    sim: &mut Sim,
    lookups: usize,
    dice: &mut Dice,
    when: &str,
    at: usize,
    all: &mut Vec<Reading>,
) {
    let everyone: Vec<Node> = sim.ring().iter().map(|(_, node)| node).collect();
    let rows = Oracle::new(sim).quality(3, &everyone);
    let log = lookups::run_for(sim, lookups, Target::Keys, dice, Duration::from_millis(500));
    // The paper's figures are for its size.
    let papers_size = everyone.len() > PAPER_NODES * 8 / 10;
    let cited = paper::FAILURE_HOPS[at];
    let lost = log.lookups.len() - log.ended().count();
    let hops = Reading::new("hops", format!("hops {when}"), log.mean_hops());
    all.extend([
        match papers_size {
            true => hops.with_paper(cited).with_goal(Goal::AtMost(cited.value)),
            false => hops,
        },
        Reading::new("lost", format!("lookups lost {when}"), lost as f64),
        Reading::new(
            "wrong",
            format!("wrong deliveries {when}"),
            log.wrong as f64,
        ),
    ]);
    for (row, quality) in rows.into_iter().enumerate() {
        let label = format!("row {row} optimal {when}");
        let cited = Some(paper::FAILURE_OPTIMAL[row][at]).filter(|_| papers_size);
        all.push(Reading::new(format!("row {row}"), label, quality.optimal).with_paper(cited));
    }
}
