//! Lookups between random nodes, and what they cost.

use std::time::Duration;

use guid::Guid;
use overlay_core::Time;

use crate::dice::Dice;
use crate::{Happening, Node, Observer, Sim};

/// Lookups under way at a time: enough to be fast, few enough to stay in the cache.
const BATCH: usize = 2_000;

/// What lookups go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Another node's identifier, as in figures 4 to 6 of the Pastry paper.
    Nodes,
    /// Any key, as in its figure 10.
    Keys,
}

/// One lookup.
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    /// Who asked.
    pub from: Node,
    /// What for.
    pub key: Guid,
    /// When.
    pub asked: Time,
    /// Where it ended first, when, after how many hops, and whether that was the key's root.
    pub end: Option<End>,
}

/// Where a lookup ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// The node.
    pub at: Node,
    /// When.
    pub time: Time,
    /// Hops taken.
    pub hops: u8,
    /// Whether this was the active node closest to the key.
    pub right: bool,
}

/// Lookups and their ends.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// By number.
    pub lookups: Vec<Lookup>,
    /// Deliveries at a node that was not the key's root, of any lookup, first or not.
    pub wrong: u64,
    /// Deliveries of a lookup that had been delivered before.
    pub repeated: u64,
}

impl Log {
    /// A node asks.
    pub fn ask(&mut self, sim: &mut Sim, from: Node, key: Guid) {
        let tag = self.lookups.len() as u32;
        self.lookups.push(Lookup {
            from,
            key,
            asked: sim.now(),
            end: None,
        });
        sim.lookup(from, key, tag);
    }

    /// Those that ended.
    pub fn ended(&self) -> impl Iterator<Item = (&Lookup, End)> {
        self.lookups
            .iter()
            .filter_map(|lookup| lookup.end.map(|end| (lookup, end)))
    }

    /// The mean number of hops.
    pub fn mean_hops(&self) -> f64 {
        let (sum, count) = self.ended().fold((0u64, 0u64), |(sum, count), (_, end)| {
            (sum + u64::from(end.hops), count + 1)
        });
        sum as f64 / count as f64
    }

    /// Time on the way in all, against the direct way in all. On links without jitter
    /// that is distance against distance.
    pub fn stretch(&self, sim: &Sim) -> f64 {
        let (mut way, mut direct) = (0u64, 0u64);
        for (lookup, end) in self.ended() {
            way += end.time.since(lookup.asked).as_micros() as u64;
            direct += sim.network().latency(lookup.from, end.at);
        }
        way as f64 / direct as f64
    }
}

impl Observer for Log {
    fn saw(&mut self, sim: &Sim, what: &Happening) {
        let Happening::Delivered(delivery) = what else {
            return;
        };
        let right = delivery.root == Some(delivery.at);
        self.wrong += u64::from(!right);
        let Some(lookup) = self.lookups.get_mut(delivery.tag as usize) else {
            return;
        };
        if lookup.end.is_some() {
            self.repeated += 1;
            return;
        }
        lookup.end = Some(End {
            at: delivery.at,
            time: sim.now(),
            hops: delivery.hops,
            right,
        });
    }
}

/// `count` lookups from random active nodes, in batches; returns when all have ended or
/// nothing moves any more.
pub fn run(sim: &mut Sim, count: usize, target: Target, dice: &mut Dice) -> Log {
    batches(sim, count, target, dice, |sim, log| {
        sim.run_until_quiet(Duration::from_secs(60), log);
    })
}

/// The same where maintenance goes on and nothing is ever quiet: each batch has `each`
/// before the next, and the last ones have ten seconds more.
pub fn run_for(
    sim: &mut Sim,
    count: usize,
    target: Target,
    dice: &mut Dice,
    each: Duration,
) -> Log {
    let mut log = batches(sim, count, target, dice, |sim, log| sim.run(each, log));
    sim.run(Duration::from_secs(10), &mut log);
    log
}

fn batches(
    sim: &mut Sim,
    count: usize,
    target: Target,
    dice: &mut Dice,
    settle: impl Fn(&mut Sim, &mut Log),
) -> Log {
    let nodes: Vec<Node> = sim.ring().iter().map(|(_, node)| node).collect();
    let mut log = Log::default();
    while log.lookups.len() < count {
        for _ in 0..BATCH.min(count - log.lookups.len()) {
            let from = nodes[dice.below(nodes.len())];
            let key = match target {
                Target::Nodes => sim.guid(nodes[dice.below(nodes.len())]),
                Target::Keys => dice.guid(),
            };
            log.ask(sim, from, key);
        }
        settle(sim, &mut log);
    }
    log
}
