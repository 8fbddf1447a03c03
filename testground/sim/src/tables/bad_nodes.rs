//! Lookups while a fraction of the nodes does not keep to the rules (Castro et al., *Secure
//! routing*, sections 2 and 5).

use std::collections::BTreeMap;
use std::time::Duration;

use overlay_core::{Answer, Config, Outcome, RandomisedRouting, RequestId, SecurityConfig};

use super::{Made, Options, TableError};
use crate::adversary::{Adversary, Behaviour};
use crate::dice::{Dice, Purpose};
use crate::report::{Goal, Progress, Reading};
use crate::{Contact, Happening, Node, Observer, Settings, Sim, Unobserved, formation, paper};

/// Of all nodes.
const FRACTIONS: [f64; 4] = [0.05, 0.10, 0.20, 0.30];

/// Good nodes that ask.
const ASKERS: usize = 50;

/// Lookups one after the other by each asker; those of all askers go side by side.
const TURNS: usize = 10;

/// Nodes wanted of each lookup: a replica set.
const WANTED: usize = 3;

/// Longer than a lookup may take.
const TURN: Duration = Duration::from_secs(11);

/// Nodes that never lived, for bad ones to name.
const PHANTOMS: usize = 8;

/// How long bad nodes lie to those that compare their rows, every ten seconds, before
/// lookups begin.
const LIES: Duration = Duration::from_secs(60);

/// What a flooding node sends in a tenth of a second, and for how many of these before the
/// lookups: by then a node without quotas is full, and stays so while they are made.
const FLOOD: (u32, u32) = (450, 10);

/// Good nodes that are flooded, each by one bad node, in a small network and in a large
/// one: what more would cost the simulator shows nothing else.
const VICTIMS: [usize; 2] = [2, 10];

/// What good nodes do about bad ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Defence {
    None,
    Retries,
    All,
}

impl Defence {
    fn text(self) -> &'static str {
        match self {
            Defence::None => "without defences",
            Defence::Retries => "with random retries only",
            Defence::All => "with defences",
        }
    }

    fn settings(self) -> SecurityConfig {
        match self {
            Defence::None => SecurityConfig::off(),
            Defence::Retries => SecurityConfig {
                randomised: RandomisedRouting::Retries,
                ..SecurityConfig::off()
            },
            Defence::All => SecurityConfig::default(),
        }
    }
}

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let nodes = if options.quick { 200 } else { 1_000 }.min(options.most_nodes);
    let keys = if options.quick { 1 } else { 4 };
    let victims = VICTIMS[usize::from(!options.quick)];
    let cells = 3 + Behaviour::ALL.len() * FRACTIONS.len() * 2 + FRACTIONS.len();
    let bar = options.bar("bad nodes", cells);
    let readings = options.each_seed(|seed| {
        Measure {
            seed,
            nodes,
            keys,
            victims,
            bar: &bar,
        }
        .all()
    })?;
    bar.finish();
    Ok(Made {
        title: format!("Bad nodes among {nodes}"),
        setup: format!(
            "{} good nodes ask for the {WANTED} nodes closest to random keys whose root is good, \
             {} lookups in all for each figure, in {TURNS} turns. Right is an answer that names \
             the root first. The way without bad nodes is as the paper has it: \
             (1-f)^(hops-1), with the hops measured here where nobody is bad. Bad nodes of a run \
             know each other; they answer probes. Droppers and misrouters are \
             other nodes for each fraction, in one network; liars have lied for a minute before \
             the lookups to nodes that compare rows every 10 s; of the flooders {victims} \
             have sent {} messages each in the second before, through one good node each and for \
             bad nodes that do not acknowledge; what that good node sends is counted for 12 s. \
             Messages are all that is sent, acknowledgements included.",
            ASKERS,
            ASKERS * TURNS * keys,
            FLOOD.0 * 10,
        ),
        axis: "bad nodes, percent",
        readings,
    })
}

struct Measure<'a> {
    seed: u64,
    nodes: usize,
    /// Lookups of an asker in a turn.
    keys: usize,
    victims: usize,
    bar: &'a Progress,
}

/// What a number of lookups came to.
struct Outcomes {
    right: f64,
    messages: f64,
    /// Messages that each of the nodes sent that are flooded, if any are.
    work: f64,
    hops: Vec<u8>,
}

impl Measure<'_> {
    fn all(&self) -> Result<Vec<Reading>, TableError> {
        let mut all = Vec::new();
        let mut hops = Vec::new();
        for defence in [Defence::None, Defence::Retries, Defence::All] {
            let mut sim = self.grow(defence, Behaviour::Drops)?;
            let calm = self.look(&mut sim, 0);
            self.note(&mut all, None, 0.0, defence, &calm);
            if defence == Defence::None {
                hops = calm.hops;
            }
            for behaviour in [Behaviour::Drops, Behaviour::Misroutes] {
                // A retry is for what was swallowed; a false answer is an answer.
                if defence == Defence::Retries && behaviour == Behaviour::Misroutes {
                    continue;
                }
                for (number, fraction) in FRACTIONS.into_iter().enumerate() {
                    self.corrupt(&mut sim, behaviour, fraction, number);
                    let outcomes = self.look(&mut sim, number + 1);
                    self.note(&mut all, Some(behaviour), fraction, defence, &outcomes);
                    sim.set_adversary(None);
                }
            }
        }
        for behaviour in [Behaviour::Lies, Behaviour::Floods] {
            for defence in [Defence::None, Defence::All] {
                for (number, fraction) in FRACTIONS.into_iter().enumerate() {
                    let mut sim = self.grow(defence, behaviour)?;
                    self.corrupt(&mut sim, behaviour, fraction, number);
                    if behaviour == Behaviour::Lies {
                        sim.run(LIES, &mut Unobserved);
                    }
                    let outcomes = self.look(&mut sim, number + 1);
                    self.note(&mut all, Some(behaviour), fraction, defence, &outcomes);
                }
            }
        }
        for fraction in FRACTIONS {
            let model = paper::good_ways(fraction, hops.iter().copied());
            let label = format!("no bad node on the way, {:.0}% bad", fraction * 100.0);
            let reading = Reading::new("no bad node on the way", label, model.value);
            all.push(reading.with_x(fraction * 100.0));
        }
        Ok(all)
    }

    /// A network of nodes that all keep to the rules.
    fn grow(&self, defence: Defence, behaviour: Behaviour) -> Result<Sim, TableError> {
        let seed = self.seed;
        let mut settings = Settings::calm(seed);
        settings.overlay.security = defence.settings();
        if behaviour == Behaviour::Lies {
            // Six exchanges of rows, and what the probes of a minute say.
            settings.overlay.row_exchange = Duration::from_secs(10);
            settings.overlay.table_probe = Config::default().table_probe;
        }
        let mut sim = Sim::new(&settings)?;
        let mut schedule = Dice::new(seed, Purpose::Schedule);
        while sim.ring().len() < self.nodes {
            let node = sim.add();
            if let Some(known) = formation::introduce(&sim, node, Contact::Nearest, &mut schedule) {
                sim.tell(node, known);
            }
            formation::wait_until_active(&mut sim, node, &mut Unobserved)
                .map_err(|source| TableError::Join { seed, source })?;
        }
        sim.run(Duration::from_secs(5), &mut Unobserved);
        Ok(sim)
    }

    fn corrupt(&self, sim: &mut Sim, behaviour: Behaviour, fraction: f64, number: usize) {
        let mut dice = Dice::new(self.seed ^ (number as u64 + 1) << 32, Purpose::Adversary);
        let mut nodes: Vec<Node> = sim.ring().iter().map(|(_, node)| node).collect();
        dice.shuffle(&mut nodes);
        nodes.truncate((self.nodes as f64 * fraction).round() as usize);
        let bad = nodes
            .iter()
            .map(|node| sim.contact(*node).clone())
            .collect();
        let never: Vec<Node> = (0..PHANTOMS).map(|_| sim.imagine()).collect();
        let never = never
            .iter()
            .map(|node| sim.contact(*node).clone())
            .collect();
        sim.set_adversary(Some(Adversary::new(behaviour, bad, never, dice.bits())));
    }

    /// Lookups of good nodes for keys of good nodes.
    fn look(&self, sim: &mut Sim, number: usize) -> Outcomes {
        let mut dice = Dice::new(self.seed ^ (number as u64) << 32, Purpose::Lookups);
        let good: Vec<Node> = sim
            .ring()
            .iter()
            .map(|(_, node)| node)
            .filter(|node| !sim.is_bad(*node))
            .collect();
        let mut askers = good.clone();
        dice.shuffle(&mut askers);
        askers.truncate(ASKERS);
        let mut log = Log::default();
        let before = *sim.traffic();
        let floods = sim.behaviour() == Some(Behaviour::Floods);
        let victims = &good[..self.victims.min(good.len())];
        let through = through(sim, victims);
        let sent = |sim: &Sim| -> u64 {
            let all = victims.iter().filter_map(|node| sim.overlay(*node));
            all.map(|overlay| overlay.stats().sent).sum()
        };
        let sent_before = sent(sim);
        for _ in 0..FLOOD.1 * u32::from(floods) {
            sim.flood_through(FLOOD.0, &through);
            sim.run(Duration::from_millis(100), &mut log);
        }
        // Under a flood all at once: it is not kept up.
        let turns = if floods { 1 } else { TURNS };
        for _ in 0..turns {
            for asker in &askers {
                for _ in 0..self.keys * TURNS / turns {
                    let key = loop {
                        let key = dice.guid();
                        if sim.ring().root(key).is_some_and(|root| !sim.is_bad(root)) {
                            break key;
                        }
                    };
                    let root = sim.ring().root(key).expect("the loop ends with one");
                    let request = sim.locate(*asker, key, WANTED, false);
                    log.wanted.insert(request, root);
                }
            }
            sim.run(TURN, &mut log);
        }
        self.bar.advance(1);
        let count = (ASKERS * TURNS * self.keys) as f64;
        Outcomes {
            right: f64::from(log.right) / count,
            work: (sent(sim) - sent_before) as f64 / victims.len() as f64,
            messages: sim.traffic().since(&before).total() as f64 / count,
            hops: log.hops,
        }
    }

    fn note(
        &self,
        all: &mut Vec<Reading>,
        behaviour: Option<Behaviour>,
        fraction: f64,
        defence: Defence,
        outcomes: &Outcomes,
    ) {
        let who = behaviour.map_or("nobody is bad".to_owned(), |behaviour| {
            format!("{:.0}% {}", fraction * 100.0, behaviour.text())
        });
        let series = format!(
            "{}, {}",
            behaviour.map_or("nobody", Behaviour::text),
            defence.text()
        );
        let label = format!("right, {who}, {}", defence.text());
        let mut reading = Reading::new(series, label, outcomes.right).with_x(fraction * 100.0);
        if defence == Defence::All {
            reading = reading.with_paper(paper::secure_lookups(fraction));
            if fraction <= 0.25 {
                reading = reading.with_goal(Goal::AtLeast(0.999));
            }
        }
        all.push(reading);
        // What a flood consists of, and what liars are asked, says nothing about lookups.
        if !matches!(behaviour, Some(Behaviour::Floods | Behaviour::Lies)) {
            let label = format!("messages a lookup, {who}, {}", defence.text());
            all.push(Reading::new("messages", label, outcomes.messages));
        }
        if behaviour == Some(Behaviour::Floods) {
            let label = format!("messages a flooded node sends, {who}, {}", defence.text());
            all.push(Reading::new("work", label, outcomes.work));
        }
    }
}

/// By which bad node each victim is flooded, the other way round.
fn through(sim: &Sim, victims: &[Node]) -> BTreeMap<Node, Node> {
    let bad = sim.ring().iter().map(|(_, node)| node);
    let bad = bad.filter(|node| sim.is_bad(*node));
    bad.zip(victims.iter().copied()).collect()
}

/// Lookups, and how they ended.
#[derive(Default)]
struct Log {
    /// The root of each that is under way.
    wanted: BTreeMap<RequestId, Node>,
    right: u32,
    hops: Vec<u8>,
}

impl Observer for Log {
    fn saw(&mut self, _: &Sim, what: &Happening) {
        let Happening::Ended {
            request, outcome, ..
        } = what
        else {
            return;
        };
        let Some(root) = self.wanted.remove(request) else {
            return;
        };
        if let Ok(Outcome::Replied {
            answer: Answer::ReplicaSet(named),
            hops,
            ..
        }) = outcome
        {
            self.hops.push(*hops);
            self.right += u32::from(named.first().is_some_and(|first| first.peer == root));
        }
    }
}
