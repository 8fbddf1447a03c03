//! How often a message that any of five nodes may take ends at the nearest of them (Pastry,
//! figure 8).
//!
//! Ways are followed from node to node by the core's own decisions; as in the paper a way
//! ends at the first of the five that it comes to. In the network a node takes a message
//! only if it is sure to be one of the five, so where messages are delivered is shown beside
//! that, and some are sent to see that they end where their ways do.

use std::time::Duration;

use guid::Guid;
use overlay_core::{AnyOf, Config, Overlay};

use super::{Made, Options, TableError};
use crate::dice::{Dice, Purpose};
use crate::paper::{self, Replicas};
use crate::report::{Goal, Reading};
use crate::{Contact, Happening, Node, Observer, Settings, Sim, formation};

/// Replicas of a key.
const K: usize = 5;

/// Wanted at least: the percentage that ends at the nearest, and at one of the nearest two.
const WANTED: [f64; 2] = [80.0, 95.0];

/// Messages sent to compare their ends with those of the ways.
const SENT: usize = 2_000;

/// Who decides about the next hop.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Pastry's rule, towards the root.
    Standard,
    /// P33, up to the first of the five.
    Heuristic,
    /// P33, up to where the message is delivered.
    Delivered,
    /// The nearest of those known that are in truth among the five, else Pastry's rule.
    Perfect,
}

impl Rule {
    const ALL: [Rule; 4] = [
        Rule::Standard,
        Rule::Heuristic,
        Rule::Delivered,
        Rule::Perfect,
    ];

    fn text(self) -> &'static str {
        match self {
            Rule::Standard => "standard",
            Rule::Heuristic => "heuristic",
            Rule::Delivered => "heuristic, delivered",
            Rule::Perfect => "perfect estimation",
        }
    }

    fn cited(self) -> Option<Replicas> {
        match self {
            Rule::Standard => Some(paper::REPLICAS_STANDARD),
            Rule::Heuristic => Some(paper::REPLICAS_HEURISTIC),
            Rule::Delivered => None,
            Rule::Perfect => Some(paper::REPLICAS_PERFECT),
        }
    }

    fn has_goal(self) -> bool {
        matches!(self, Rule::Heuristic | Rule::Delivered)
    }
}

/// One network's settings.
struct Case {
    name: &'static str,
    is_paper: bool,
    settings: Settings,
}

fn cases(seed: u64) -> [Case; 3] {
    let calm = Settings::calm(seed);
    let with = |change: &dyn Fn(&mut Config)| {
        let mut settings = calm.clone();
        change(&mut settings.overlay);
        settings
    };
    [
        Case {
            name: "b=3 L=8 M=16",
            is_paper: true,
            settings: with(&|config| {
                config.digit_bits = 3;
                config.leaf_set = 8;
                config.neighbourhood = 16;
            }),
        },
        Case {
            name: "ours, b=4 L=16 M=32",
            is_paper: false,
            settings: calm.clone(),
        },
        Case {
            name: "b=4 L=32 M=32",
            is_paper: false,
            settings: with(&|config| config.leaf_set = 32),
        },
    ]
}

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let (nodes, routes) = if options.quick {
        (300, 2_000)
    } else {
        (10_000, 100_000)
    };
    let bar = options.bar("joining", cases(0).len() * nodes);
    let readings =
        options.each_seed(|seed| {
            let mut all = Vec::new();
            for case in cases(seed) {
                let mut sim = Sim::new(&case.settings)?;
                formation::grow(&mut sim, nodes, Contact::Nearest, &mut bar.clone())
                    .map_err(|source| TableError::Join { seed, source })?;
                let mut dice = Dice::new(seed, Purpose::Lookups);
                let everyone: Vec<Node> = sim.ring().iter().map(|(_, node)| node).collect();
                let asked: Vec<(Node, Guid)> = (0..routes)
                    .map(|_| (everyone[dice.below(everyone.len())], dice.guid()))
                    .collect();
                compare(&mut sim, &asked[..SENT.min(routes)])
                    .map_err(|what| TableError::Lookups { seed, nodes, what })?;
                for rule in Rule::ALL {
                    let sum = Sum::of(&sim, &asked, rule).map_err(|what| TableError::Lookups {
                        seed,
                        nodes,
                        what,
                    })?;
                    all.extend(sum.readings(&case, rule, options.quick));
                }
            }
            Ok(all)
        })?;
    bar.finish();
    Ok(Made {
        title: format!("Ways to {K} replicas that end at a near one, {nodes} nodes"),
        setup: format!(
            "Percent of {routes} ways from random nodes to any of the {K} nodes closest to random \
             keys, by how many of the five are at most as far from the origin as the one it ends \
             at. A way ends at the first of the five, as in the paper; 'delivered': at the first \
             that is sure to be one, which is where messages end. The paper's text and its figure \
             8 differ. Hops and the length of the way, over the distance to the nearest of the \
             five, show what it costs."
        ),
        axis: "nearest",
        readings,
    })
}

/// What the ways of one rule add up to.
#[derive(Default)]
struct Sum {
    ways: usize,
    /// How many ended at the nearest, the second, and so on.
    ranks: [usize; K],
    hops: usize,
    /// Microseconds on the way, and to the nearest of the five.
    length: u64,
    nearest: u64,
}

impl Sum {
    fn of(sim: &Sim, asked: &[(Node, Guid)], rule: Rule) -> Result<Sum, String> {
        let mut sum = Sum::default();
        for (from, key) in asked {
            let five = sim.ring().closest(*key, K);
            let way = way(sim, *from, *key, &five, rule)?;
            let end = *way.last().expect("a way has its origin");
            if !five.contains(&end) {
                return Err(format!("the way {way:?} ends at none of {five:?}"));
            }
            let far = |node: Node| sim.network().latency(*from, node);
            let rank = five.iter().filter(|one| far(**one) < far(end)).count();
            sum.ways += 1;
            sum.ranks[rank] += 1;
            sum.hops += way.len() - 1;
            let legs = way.windows(2);
            sum.length += legs
                .map(|leg| sim.network().latency(leg[0], leg[1]))
                .sum::<u64>();
            sum.nearest += five.iter().map(|one| far(*one)).min().unwrap_or(0);
        }
        Ok(sum)
    }

    fn readings(&self, case: &Case, rule: Rule, quick: bool) -> Vec<Reading> {
        let (name, text) = (case.name, rule.text());
        let series = format!("{name}: {text}");
        let cited = rule.cited().filter(|_| case.is_paper && !quick);
        let mut all = Vec::new();
        let mut ended = 0;
        for (at, count) in self.ranks[..K - 1].iter().enumerate() {
            ended += count;
            let percent = 100.0 * ended as f64 / self.ways as f64;
            let what = match at {
                0 => "the nearest".to_owned(),
                _ => format!("the nearest {}", at + 1),
            };
            let mut reading = Reading::new(&series, format!("{series}, {what}"), percent)
                .with_x((at + 1) as f64)
                .with_paper(cited.map(|cited| cited.figure[at]));
            if let Some(wanted) = WANTED.get(at).filter(|_| rule.has_goal() && !quick) {
                reading = reading.with_goal(Goal::AtLeast(*wanted));
            }
            all.push(reading);
            let said = cited.and_then(|cited| cited.text?.get(at).copied());
            if let Some(said) = said {
                let label = format!("{series}, {what}, against the text");
                let reading = Reading::new(format!("{series}, text"), label, percent);
                all.push(reading.with_paper(said));
            }
        }
        let hops = self.hops as f64 / self.ways as f64;
        let longer = self.length as f64 / self.nearest as f64;
        let label = format!("{series}, hops");
        all.push(Reading::new(format!("{name}: hops"), label, hops));
        let label = format!("{series}, way over distance to the nearest");
        all.push(Reading::new(format!("{name}: way"), label, longer));
        all
    }
}

/// The nodes on a way, its origin first.
fn way(sim: &Sim, from: Node, key: Guid, five: &[Node], rule: Rule) -> Result<Vec<Node>, String> {
    let mut any_of = AnyOf::new(K).expect("more than the root");
    let mut way = vec![from];
    let mut at = from;
    while matches!(rule, Rule::Delivered) || !five.contains(&at) {
        let overlay = sim.overlay(at).expect("nobody dies in this table");
        let next = match rule {
            Rule::Standard => overlay.next_hop(key),
            Rule::Heuristic | Rule::Delivered => overlay.next_hop_to_any(key, &mut any_of),
            Rule::Perfect => known(overlay)
                .filter(|one| five.contains(&one.peer))
                .min_by_key(|one| (sim.network().latency(at, one.peer), one.guid))
                .or_else(|| overlay.next_hop(key)),
        };
        let Some(next) = next else {
            break;
        };
        at = next.peer;
        way.push(at);
        // Once before it turns and once after (P33), and no more.
        if way.iter().filter(|one| **one == at).count() > 2 {
            return Err(format!("the way {way:?} to {key} has a loop"));
        }
    }
    Ok(way)
}

fn known(overlay: &Overlay<Node>) -> impl Iterator<Item = &overlay_core::Contact<Node>> {
    let leafs = overlay.smaller_leafs().iter().chain(overlay.larger_leafs());
    let table = overlay.table().map(|(_, _, contact)| contact);
    leafs.chain(table).chain(overlay.neighbourhood())
}

/// Where messages were delivered, by their number.
struct Ends(Vec<Vec<Node>>);

impl Observer for Ends {
    fn saw(&mut self, _: &Sim, what: &Happening) {
        if let Happening::Delivered(delivery) = what {
            self.0[delivery.tag as usize].push(delivery.at);
        }
    }
}

/// Sends messages, each of which has to end once, where its way does.
fn compare(sim: &mut Sim, asked: &[(Node, Guid)]) -> Result<(), String> {
    let mut ends = Ends(vec![Vec::new(); asked.len()]);
    for (tag, (from, key)) in asked.iter().enumerate() {
        sim.lookup_any(*from, *key, K, tag as u32);
    }
    sim.run_until_quiet(Duration::from_secs(60), &mut ends);
    for ((from, key), ended) in asked.iter().zip(ends.0) {
        let way = way(sim, *from, *key, &[], Rule::Delivered)?;
        if ended != way[way.len() - 1..] {
            return Err(format!(
                "the message of {from} to {key} ended at {ended:?}, not as {way:?}"
            ));
        }
    }
    Ok(())
}
