//! Routing to nodes and to objects while a fifth of all nodes dies, half as many again
//! join, and nodes come and go (Tapestry, section V-D).

use std::time::Duration;

use overlay_core::{Config, Time};
use rayon::prelude::*;

use super::{Made, Options, TableError};
use crate::dice::{Dice, Purpose};
use crate::lookups::Log;
use crate::network::Shape;
use crate::objects::{self, Errands, Object};
use crate::report::{Goal, Progress, Reading};
use crate::{Contact, Happening, Node, Observer, Settings, Sim, formation, paper};

/// The size of the paper's network.
const PAPER_NODES: usize = 830;

/// Success is counted for so long.
const BIN: Duration = Duration::from_secs(10);

/// A message that has not arrived after this long has failed: what a request may take.
const LATE: Duration = Duration::from_secs(10);

/// As fast as where nothing goes wrong, or nearly.
const PROMPT: Duration = Duration::from_secs(1);

/// The paper's rates: one node arrives every so many seconds and stays for so many.
const CHURN: [(u64, u64); 2] = [(20, 240), (10, 120)];

/// How large and how busy.
#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    objects: usize,
    /// Messages to nodes a second, and as many to objects.
    a_second: usize,
    /// From the failures to the joins, and from there to the end.
    watched: Duration,
    /// How long nodes come and go at each rate.
    churned: Duration,
}

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let size = match options.quick {
        true => Size {
            nodes: 60,
            objects: 40,
            a_second: 10,
            watched: Duration::from_secs(90),
            churned: Duration::from_secs(200),
        },
        false => Size {
            nodes: PAPER_NODES.min(options.most_nodes),
            objects: 830,
            a_second: 100,
            watched: Duration::from_secs(180),
            churned: Duration::from_secs(600),
        },
    };
    let bar = options.bar("runs", 1 + CHURN.len());
    let readings = options.each_seed(|seed| {
        let runs: Vec<usize> = (0..=CHURN.len()).collect();
        let all: Result<Vec<Vec<Reading>>, TableError> = runs
            .par_iter()
            .map(|run| {
                let readings = match run {
                    0 => shocks(seed, size),
                    _ => churn(seed, size, CHURN[run - 1]),
                };
                bar.advance(1);
                readings
            })
            .collect();
        Ok(all?.into_iter().flatten().collect())
    })?;
    bar.finish();
    let Size {
        nodes,
        objects,
        a_second,
        watched,
        churned,
    } = size;
    Ok(Made {
        title: format!("Nodes and objects of {nodes} nodes under failures"),
        setup: format!(
            "Transit-stub network, all of the overlay's rules at work. {objects} objects with one \
             holder each; {a_second} messages a second from random nodes to random nodes and as many \
             to random objects whose holder lives, counted by the 10 seconds in which they were \
             sent; one that has not arrived 10 s later, or a node's that arrived elsewhere, has \
             failed. At 0 s a fifth of the nodes dies without a word; after {} s half as many as are \
             left join at once, by the nearest. Churn: for {} s, beside {nodes} nodes that stay, \
             others arrive, publish an object each and die without a word.",
            watched.as_secs(),
            churned.as_secs()
        ),
        axis: "seconds since the failures",
        readings,
    })
}

/// A network, its objects, and messages on their way.
struct Run {
    sim: Sim,
    size: Size,
    dice: Dice,
    schedule: Dice,
    objects: Vec<Object>,
    watch: Watch,
}

/// Messages to nodes and to objects in the same run.
#[derive(Default)]
struct Watch {
    nodes: Log,
    objects: Errands,
}

impl Observer for Watch {
    fn saw(&mut self, sim: &Sim, what: &Happening) {
        self.nodes.saw(sim, what);
        self.objects.saw(sim, what);
    }
}

impl Run {
    fn new(seed: u64, size: Size) -> Result<Run, TableError> {
        let settings = Settings {
            seed,
            overlay: Config::default(),
            shape: Shape::TransitStub(Default::default()),
            per_host: 1,
        }
        .with_contact(Contact::Nearest);
        let mut sim = Sim::new(&settings)?;
        let mut schedule = Dice::new(seed, Purpose::Schedule);
        while sim.ring().len() < size.nodes {
            let node = sim.add();
            if let Some(known) = formation::introduce(&sim, node, Contact::Nearest, &mut schedule) {
                sim.tell(node, known);
            }
            formation::wait_until_active(&mut sim, node, &mut Progress::hidden())
                .map_err(|source| TableError::Join { seed, source })?;
        }
        let mut dice = Dice::new(seed, Purpose::Objects);
        let objects = objects::publish(&mut sim, size.objects, 1, &mut dice);
        let mut run = Run {
            sim,
            size,
            dice,
            schedule,
            objects,
            watch: Watch::default(),
        };
        run.sim.run(BIN, &mut run.watch);
        Ok(run)
    }

    /// One node by chance that has its place.
    fn someone(&mut self) -> Node {
        let place = self.dice.guid();
        let next = self.sim.ring().above(place).next();
        next.expect("somebody is active").1
    }

    /// Messages go out until `end`, evenly spread.
    fn send_until(&mut self, end: Time) {
        let between = Duration::from_secs(1) / self.size.a_second as u32;
        while self.sim.now() < end {
            let (from, to) = (self.someone(), self.someone());
            let key = self.sim.guid(to);
            self.watch.nodes.ask(&mut self.sim, from, key);
            let from = self.someone();
            // Whose holder has died is nowhere to be found, and not asked for.
            for _ in 0..100 {
                let at = self.dice.below(self.objects.len());
                let object = &self.objects[at];
                if self.watch.objects.send(&mut self.sim, from, object) {
                    break;
                }
            }
            let next = (self.sim.now() + between).min(end);
            self.sim.run_until(next, &mut self.watch);
        }
    }

    /// The share of messages to nodes and to objects that arrived, of those sent from `from`
    /// to `to`.
    fn success(&self, from: Time, to: Time) -> [f64; 2] {
        self.success_within(LATE, from, to)
    }

    /// The same for what arrived within `late`.
    fn success_within(&self, late: Duration, from: Time, to: Time) -> [f64; 2] {
        let sent = |asked: Time| from <= asked && asked < to;
        let nodes = self.watch.nodes.lookups.iter();
        let nodes = nodes.filter(|lookup| sent(lookup.asked)).map(|lookup| {
            let end = lookup.end.filter(|end| end.right);
            end.is_some_and(|end| end.time.since(lookup.asked) <= late)
        });
        let objects = self.watch.objects.all.iter();
        let objects = objects.filter(|errand| sent(errand.asked)).map(|errand| {
            let reached = errand.reached.map(|(time, _)| time);
            reached.is_some_and(|time| time.since(errand.asked) <= late)
        });
        [share(nodes), share(objects)]
    }
}

/// The share of what is true; 1 where there is nothing.
fn share(all: impl Iterator<Item = bool>) -> f64 {
    let (mut count, mut good) = (0usize, 0usize);
    for one in all {
        count += 1;
        good += usize::from(one);
    }
    if count == 0 {
        1.0
    } else {
        good as f64 / count as f64
    }
}

/// What messages go to, as the labels say it.
const TARGETS: [&str; 2] = ["nodes", "objects"];

/// A fifth dies, then half as many as are left join.
fn shocks(seed: u64, size: Size) -> Result<Vec<Reading>, TableError> {
    let mut run = Run::new(seed, size)?;
    let calm = run.sim.now();
    run.send_until(calm + BIN);
    // What is on its way at the moment of the failures is no measure of either side.
    run.sim.run(Duration::from_secs(1), &mut run.watch);
    let failed = run.sim.now();
    let mut victims: Vec<Node> = run.sim.ring().iter().map(|(_, node)| node).collect();
    run.schedule.shuffle(&mut victims);
    victims.truncate(size.nodes / 5);
    for victim in victims {
        run.sim.crash(victim);
    }
    run.send_until(failed + size.watched);
    let joined = run.sim.now();
    for _ in 0..run.sim.ring().len() / 2 {
        let node = run.sim.add();
        let known = formation::introduce(&run.sim, node, Contact::Nearest, &mut run.schedule);
        run.sim.tell(node, known.expect("somebody is active"));
    }
    run.send_until(joined + size.watched);
    let end = run.sim.now();
    run.sim.run(LATE, &mut run.watch);
    let joiners = run.sim.live_count() - run.sim.ring().len();
    let mut all = vec![Reading::new(
        "joining",
        "joiners that have no place in the end",
        joiners as f64,
    )];
    for (target, what) in TARGETS.into_iter().enumerate() {
        let rate = |from: Time, to: Time| run.success(from, to)[target];
        all.push(reading(what, "before", rate(calm, failed)).with_goal(Goal::AtLeast(1.0)));
        for (from, to, after, paper) in [
            (failed, joined, "a fifth died", paper::FIFTH_DIED[target]),
            (joined, end, "half joined", paper::HALF_JOINED[target]),
        ] {
            let rates = bins(from, to).map(|(from, to)| rate(from, to));
            let rates: Vec<f64> = rates.collect();
            let dip = rates.iter().copied().fold(1.0, f64::min);
            // Whole from the first ten seconds on after which nothing fails any more.
            let bad = rates.iter().rposition(|rate| *rate < 1.0);
            let whole = bad.map_or(0, |at| at + 1) as f64 * BIN.as_secs_f64();
            let label = |what_of: &str| format!("{what_of} after {after}");
            all.push(reading(what, &label("least"), dip).with_paper(paper));
            all.push(
                reading(what, &label("seconds until all arrive for good"), whole)
                    .with_paper(paper::RECOVERY)
                    .with_goal(Goal::AtMost(60.0)),
            );
            let prompt = run.success_within(PROMPT, from, from + BIN)[target];
            let label_prompt = format!("within 1 s, of the first 10 s after {after}");
            all.push(reading(what, &label_prompt, prompt));
            for ((begin, _), rate) in bins(from, to).zip(rates).take(6) {
                let seconds = begin.since(from).as_secs();
                let label = format!("{seconds} s after {after}");
                let x = begin.since(failed).as_secs_f64();
                all.push(reading(what, &label, rate).with_x(x));
            }
        }
    }
    Ok(all)
}

fn reading(what: &str, label: &str, value: f64) -> Reading {
    let series = format!("share of messages to {what} that arrive");
    Reading::new(series, format!("to {what}: {label}"), value)
}

fn bins(from: Time, to: Time) -> impl Iterator<Item = (Time, Time)> {
    let count = to.since(from).as_secs() / BIN.as_secs();
    (0..count as u32).map(move |at| (from + BIN * at, from + BIN * (at + 1)))
}

/// Beside those that stay nodes arrive and die; each publishes an object meanwhile.
fn churn(seed: u64, size: Size, (arrival, life): (u64, u64)) -> Result<Vec<Reading>, TableError> {
    let mut run = Run::new(seed, size)?;
    let begin = run.sim.now();
    let end = begin + size.churned;
    let between = |run: &mut Run| run.schedule.exponential(Duration::from_secs(arrival));
    let mut arrives = begin + between(&mut run);
    let mut leaving: Vec<(Time, Node)> = Vec::new();
    let (mut arrived, mut published) = (Vec::new(), Vec::new());
    while run.sim.now() < end {
        let next = leaving.iter().map(|(at, _)| *at).min();
        let next = next.unwrap_or(end).min(arrives).min(end);
        run.send_until(next);
        // Asked for from the next event on, when its pointers have been left.
        run.objects.append(&mut published);
        for node in std::mem::take(&mut arrived) {
            if objects::is_active(&run.sim, node) {
                let guid = run.dice.guid();
                run.sim.publish(node, guid);
                let holders = vec![node];
                published.push(Object { guid, holders });
            }
        }
        let now = run.sim.now();
        for (_, node) in leaving.extract_if(.., |(at, _)| *at <= now) {
            run.sim.crash(node);
        }
        if now >= arrives {
            let node = run.sim.add();
            let known = formation::introduce(&run.sim, node, Contact::Nearest, &mut run.schedule);
            run.sim.tell(node, known.expect("somebody is active"));
            let stays = run.schedule.exponential(Duration::from_secs(life));
            leaving.push((now + stays, node));
            arrived.push(node);
            arrives = now + between(&mut run);
        }
    }
    run.sim.run(LATE, &mut run.watch);
    let name = format!("arrival {arrival} s, life {life} s");
    let rates = run.success(begin, end);
    let mut all = Vec::new();
    for (target, what) in TARGETS.into_iter().enumerate() {
        let least = bins(begin, end).map(|(from, to)| run.success(from, to)[target]);
        all.push(
            reading(what, &name, rates[target])
                .with_paper(paper::CHURN_SUCCESS)
                .with_goal(Goal::AtLeast(0.999)),
        );
        let least = least.fold(1.0, f64::min);
        all.push(reading(what, &format!("least of 10 s, {name}"), least));
    }
    Ok(all)
}
