//! Runs a scenario: the network forms, faults and churn last, then all is healed and the
//! network has to become whole.

use std::collections::BTreeMap;
use std::time::Duration;

use overlay_core::{State, Time};
use thiserror::Error;

use super::owners::Owners;
use super::{Fault, FaultKind, Report, Scenario};
use crate::adversary::{Adversary, Behaviour};
use crate::dice::{Dice, Purpose};
use crate::formation::{self, NeverJoined};
use crate::invariants::{
    Bounds, Checks, Delivered, FirstHand, Invariant, LeafSets, Pointers, Routing,
};
use crate::lookups::{Log, Lookup};
use crate::network::{Cut, NetworkError, Rule};
use crate::objects::{self, Errand, Errands, Object};
use crate::{Contact, Happening, Kind, Node, Observer, Sim, Tamper, Unobserved};

/// How often owners are counted, and whether the network is whole.
const LOOK: Duration = Duration::from_secs(1);

/// A lookup that has not ended after this long is lost, if whoever asked still lives.
const OVERDUE: Duration = Duration::from_secs(60);

/// A node that has not joined after this long, or is alone, learns of another, as by
/// discovery.
const REMINDER: Duration = Duration::from_secs(10);

/// How often bad nodes send of their own accord, and how much each time: 500 a second.
const FLOOD: (Duration, u32) = (Duration::from_millis(100), 50);

/// Nodes that never lived, for bad ones to name.
const PHANTOMS: usize = 4;

/// A scenario could not be run.
#[derive(Debug, Error)]
pub enum RunError {
    /// Its network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A node did not join before the faults began.
    #[error(transparent)]
    Join(#[from] NeverJoined),
}

/// What is planned.
#[derive(Clone, Debug)]
enum Action {
    Begin(usize),
    Mend(u64),
    Calm,
    Arrive,
    Depart(Node),
    /// If a node has not joined yet or is alone, it learns of another that is not.
    Remind(Node),
    Ask,
    /// Bad nodes send of their own accord.
    Flood,
    /// Bad nodes keep to the rules again.
    Reform,
}

struct Driver<'a> {
    scenario: &'a Scenario,
    sim: Sim,
    schedule: Dice,
    asking: Dice,
    /// Decides who publishes, and who wants what.
    offers: Dice,
    objects: Vec<Object>,
    plan: BTreeMap<(Time, u64), Action>,
    planned: u64,
    /// Nodes of each island, in the order in which they came.
    islands: Vec<Vec<Node>>,
    watch: Watch,
    owners: Owners,
    /// When nodes died or left.
    gone: BTreeMap<Node, Time>,
}

/// Lookups, messages to objects and invariants see the same run.
struct Watch {
    log: Log,
    errands: Errands,
    /// Those that are checked at each happening.
    checks: Checks,
    /// Those that are checked in full in the end.
    full: Checks,
}

impl Observer for Watch {
    fn saw(&mut self, sim: &Sim, what: &Happening) {
        self.log.saw(sim, what);
        self.errands.saw(sim, what);
        self.checks.saw(sim, what);
        self.full.saw(sim, what);
    }
}

/// Runs a scenario to its end. `tamper` changes messages once the network has formed.
///
/// # Errors
/// When the network cannot be made.
pub fn run(scenario: &Scenario, tamper: Option<Tamper>) -> Result<Report, RunError> {
    let seed = scenario.seed;
    let mut incremental: Vec<Box<dyn Invariant>> = vec![Box::new(Pointers::default())];
    if !scenario.allow_wrong {
        incremental.push(Box::new(Delivered));
    }
    let mut driver = Driver {
        scenario,
        sim: Sim::new(&scenario.settings())?,
        schedule: Dice::new(seed, Purpose::Schedule),
        asking: Dice::new(seed, Purpose::Lookups),
        offers: Dice::new(seed, Purpose::Objects),
        objects: Vec::new(),
        plan: BTreeMap::new(),
        planned: 0,
        islands: Vec::new(),
        watch: Watch {
            log: Log::default(),
            errands: Errands::default(),
            checks: Checks::of(incremental),
            full: Checks::of(vec![
                Box::new(LeafSets),
                Box::new(Routing::default()),
                Box::new(Bounds),
                Box::new(FirstHand),
                Box::new(Pointers::default()),
            ]),
        },
        owners: Owners::new(seed),
        gone: BTreeMap::new(),
    };
    driver.form()?;
    driver.sim.set_tamper(tamper);
    Ok(driver.go())
}

impl Driver<'_> {
    fn form(&mut self) -> Result<(), RunError> {
        let (nodes, islands) = (
            *self.scenario.nodes.get_ref(),
            *self.scenario.islands.get_ref(),
        );
        for island in 0..islands {
            let mut members: Vec<Node> = Vec::new();
            let size = nodes / islands + usize::from(island < nodes % islands);
            for _ in 0..size {
                let node = self.sim.add();
                let known = match members.is_empty() {
                    true => None,
                    // Where there is one network only, the nearest of all is meant.
                    false if islands == 1 => formation::introduce(
                        &self.sim,
                        node,
                        self.scenario.contact,
                        &mut self.schedule,
                    ),
                    false => Some(members[self.schedule.below(members.len())]),
                };
                if let Some(known) = known {
                    self.sim.tell(node, known);
                }
                formation::wait_until_active(&mut self.sim, node, &mut Unobserved)?;
                members.push(node);
            }
            self.islands.push(members);
        }
        self.sim.run(Duration::from_secs(10), &mut Unobserved);
        let count = *self.scenario.publish.get_ref();
        self.objects = objects::publish(&mut self.sim, count, 1, &mut self.offers);
        Ok(())
    }

    fn go(mut self) -> Report {
        let begin = self.sim.now();
        let calm = begin + self.scenario.lasts;
        for (number, fault) in self.scenario.faults.iter().enumerate() {
            self.plan(begin + fault.at, Action::Begin(number));
        }
        self.plan(calm, Action::Calm);
        if let Some(churn) = &self.scenario.churn {
            let live: Vec<Node> = self.sim.live().collect();
            for node in live {
                let rest = churn.sessions.rest(churn.mean, &mut self.schedule);
                self.plan(begin + rest, Action::Depart(node));
            }
            self.plan_arrival();
        }
        self.plan_lookup();
        let (traffic, started) = (*self.sim.traffic(), self.sim.started());
        let mut node_seconds = 0.0;
        let mut look = begin;
        while self.sim.now() < calm {
            look = look + LOOK;
            self.advance(look.min(calm));
            node_seconds += self.sim.live_count() as f64 * LOOK.as_secs_f64();
            self.owners.look(&self.sim);
            self.keep_published();
        }
        let traffic = self.sim.traffic().since(&traffic);
        let started = self.sim.started() - started;
        let whole_after = self.heal();
        self.sim.run(OVERDUE, &mut self.watch);
        let (log, sim) = (&self.watch.log, &self.sim);
        let asked = log.lookups.len();
        let share = |count: f64| count / (asked.max(1)) as f64;
        let violations = std::mem::take(&mut self.watch.checks.violations);
        Report {
            title: self.scenario.title.clone(),
            seed: self.scenario.seed,
            nodes: sim.ring().len(),
            started,
            gone: self.gone.len(),
            lookups: asked,
            lost: share(
                log.lookups
                    .iter()
                    .filter(|lookup| self.is_lost(lookup))
                    .count() as f64,
            ),
            wrong: share(log.wrong as f64),
            errands: self.watch.errands.all.len(),
            errands_lost: self.errands_lost(),
            hops: log.mean_hops(),
            stretch: log.stretch(sim),
            control: Kind::ALL
                .into_iter()
                .filter(|kind| kind.is_control())
                .map(|kind| (kind.name(), traffic.of(kind) as f64 / node_seconds))
                .collect(),
            control_all: traffic.control() as f64 / node_seconds,
            whole_after: whole_after.map(|span| span.as_secs_f64()),
            two_owners: self.owners.longest().as_secs_f64(),
            violations,
            digest: sim.digest().to_string(),
        }
    }

    /// Whether a lookup ended nowhere though whoever asked lived long enough to see it end.
    fn is_lost(&self, lookup: &Lookup) -> bool {
        let died = self.gone.get(&lookup.from);
        lookup.end.is_none() && died.is_none_or(|died| died.since(lookup.asked) > OVERDUE)
    }

    /// The share of messages to objects that reached nobody, though sender and holder lived
    /// long enough.
    fn errands_lost(&self) -> f64 {
        let all = &self.watch.errands.all;
        let lived = |node: Node, asked: Time| {
            let died = self.gone.get(&node);
            died.is_none_or(|died| *died < asked || died.since(asked) > OVERDUE)
        };
        let lost = |errand: &&Errand| {
            errand.reached.is_none()
                && lived(errand.from, errand.asked)
                && lived(errand.nearest, errand.asked)
        };
        all.iter().filter(lost).count() as f64 / all.len().max(1) as f64
    }

    /// Nothing goes wrong any more: how long until everything holds.
    fn heal(&mut self) -> Option<Duration> {
        let begin = self.sim.now();
        let end = begin + self.scenario.heals_within;
        self.owners.restart();
        loop {
            let full = &mut self.watch.full;
            full.violations.clear();
            let joined = self.sim.ring().len() == self.sim.live_count();
            if joined && full.check(&self.sim) {
                return Some(self.sim.now().since(begin));
            }
            if self.sim.now() >= end {
                if !joined {
                    let (active, live) = (self.sim.ring().len(), self.sim.live_count());
                    full.violations
                        .push(format!("{active} of {live} nodes are active"));
                }
                self.watch.checks.violations.append(&mut full.violations);
                return None;
            }
            self.advance(self.sim.now() + LOOK);
            self.owners.look(&self.sim);
            self.keep_published();
        }
    }

    fn plan(&mut self, at: Time, action: Action) {
        self.planned += 1;
        self.plan.insert((at, self.planned), action);
    }

    fn plan_arrival(&mut self) {
        let Some(churn) = &self.scenario.churn else {
            return;
        };
        let between = churn.mean.div_f64(*self.scenario.nodes.get_ref() as f64);
        let wait = self.schedule.exponential(between);
        self.plan(self.sim.now() + wait, Action::Arrive);
    }

    fn plan_lookup(&mut self) {
        let rate = self.scenario.lookups.a_second * self.sim.ring().len().max(1) as f64;
        if rate > 0.0 {
            let wait = self.asking.exponential(Duration::from_secs_f64(1.0 / rate));
            self.plan(self.sim.now() + wait, Action::Ask);
        }
    }

    fn advance(&mut self, end: Time) {
        while let Some(entry) = self.plan.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), action) = entry.remove_entry();
            self.sim.run_until(at, &mut self.watch);
            self.act(action);
        }
        self.sim.run_until(end, &mut self.watch);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Begin(number) => {
                let fault = self.scenario.faults[number].clone();
                self.begin(&fault);
            }
            Action::Mend(cut) => self.sim.links_mut().mend(cut),
            Action::Flood => {
                let (period, each) = FLOOD;
                self.sim.flood(each);
                self.plan(self.sim.now() + period, Action::Flood);
            }
            Action::Reform => self.reform(),
            Action::Calm => {
                self.sim.links_mut().heal();
                self.reform();
                // Nobody comes, goes or asks from here on.
                self.plan
                    .retain(|_, action| matches!(action, Action::Remind(_)));
            }
            Action::Arrive => {
                self.arrive();
                self.plan_arrival();
            }
            Action::Depart(node) => self.remove(node, false),
            Action::Remind(node) => {
                let lonely = self.sim.overlay(node).is_some_and(|overlay| {
                    overlay.state() == State::Joining || overlay.smaller_leafs().is_empty()
                });
                if lonely {
                    self.acquaint(node, Contact::Random);
                }
            }
            Action::Ask => {
                let active = self.sim.ring().len();
                if active > 0 {
                    let from = self.random_active();
                    let key = self.asking.guid();
                    self.watch.log.ask(&mut self.sim, from, key);
                    self.send_to_object(from);
                }
                self.plan_lookup();
            }
        }
    }

    /// Beside a lookup a message to one of the objects goes out, where there are any.
    fn send_to_object(&mut self, from: Node) {
        if !self.objects.is_empty() {
            let object = &self.objects[self.offers.below(self.objects.len())];
            // Whose holder has just died is nowhere.
            self.watch.errands.send(&mut self.sim, from, object);
        }
    }

    /// Whose holder has died, or has forgotten it, is published by another.
    fn keep_published(&mut self) {
        for object in &mut self.objects {
            let held = |holder: &Node| objects::holds(&self.sim, *holder, object.guid);
            if object.holders.iter().any(held) {
                continue;
            }
            let place = self.offers.guid();
            let next = self.sim.ring().above(place).next();
            if let Some((_, holder)) = next {
                self.sim.publish(holder, object.guid);
                object.holders = vec![holder];
            }
        }
    }

    /// Whoever follows a random place on the ring asks.
    fn random_active(&mut self) -> Node {
        let place = self.asking.guid();
        let next = self.sim.ring().above(place).next();
        next.expect("somebody is active").1
    }

    fn arrive(&mut self) {
        let node = self.sim.add();
        self.acquaint(node, self.scenario.contact);
        if let Some(churn) = &self.scenario.churn {
            let stays = churn.sessions.whole(churn.mean, &mut self.schedule);
            self.plan(self.sim.now() + stays, Action::Depart(node));
        }
    }

    /// A node learns of another, and of one more if that one dies under its hands.
    fn acquaint(&mut self, node: Node, contact: Contact) {
        if let Some(known) = formation::introduce(&self.sim, node, contact, &mut self.schedule) {
            self.sim.tell(node, known);
            self.plan(self.sim.now() + REMINDER, Action::Remind(node));
        }
    }

    fn remove(&mut self, node: Node, says_so: bool) {
        // The last one stays: without it there would be nobody to join.
        if self.sim.live_count() <= 1 || self.sim.overlay(node).is_none() {
            return;
        }
        self.gone.insert(node, self.sim.now());
        if says_so {
            self.sim.leave(node);
        } else {
            self.sim.crash(node);
        }
    }

    /// While there are bad nodes the good ones keep their bounds, and nobody is believed
    /// who never answered. From here on all keep to the rules.
    fn reform(&mut self) {
        let mut checks = Checks::of(vec![Box::new(FirstHand), Box::new(Bounds)]);
        checks.check(&self.sim);
        self.watch.checks.violations.append(&mut checks.violations);
        self.sim.set_adversary(None);
        self.plan
            .retain(|_, action| !matches!(action, Action::Flood | Action::Reform));
    }

    fn begin(&mut self, fault: &Fault) {
        let share = fault.share.as_ref().map_or(0.0, |share| *share.get_ref());
        let count = fault.count.as_ref().map_or(0, |count| *count.get_ref());
        let until = fault.until.map(|until| self.sim.now() + (until - fault.at));
        match fault.kind {
            FaultKind::Loss => {
                let jitter = fault.jitter.unwrap_or_default();
                let rule = Rule {
                    loss: share,
                    jitter,
                };
                self.sim.links_mut().set_everywhere(rule);
                // It ends with the faults, or with the next rule for all links.
            }
            FaultKind::Partition | FaultKind::OneWay => {
                let cut = Cut {
                    side: self.some(share),
                    both_ways: fault.kind == FaultKind::Partition,
                };
                let name = self.sim.links_mut().cut(cut);
                if let Some(until) = until {
                    self.plan(until, Action::Mend(name));
                }
            }
            FaultKind::Crash | FaultKind::Leave => {
                for node in self.some(share) {
                    self.remove(node, fault.kind == FaultKind::Leave);
                }
            }
            FaultKind::CrashArc => {
                let place = self.schedule.guid();
                let arc: Vec<Node> = self
                    .sim
                    .ring()
                    .above(place)
                    .map(|(_, node)| node)
                    .take(count)
                    .collect();
                for node in arc {
                    self.remove(node, false);
                }
            }
            FaultKind::Join => {
                for _ in 0..count {
                    self.arrive();
                }
            }
            FaultKind::RestartAll => self.restart_all(count),
            FaultKind::Bad => {
                let Some(behaviour) = fault.behaviour.as_ref().map(|it| *it.get_ref()) else {
                    return;
                };
                self.reform();
                let bad = self.some(share);
                let contact = |node: &Node| self.sim.contact(*node).clone();
                let bad = bad.iter().map(contact).collect();
                let never = self.imagine();
                let adversary = Adversary::new(behaviour, bad, never, self.scenario.seed);
                self.sim.set_adversary(Some(adversary));
                if behaviour == Behaviour::Floods {
                    self.plan(self.sim.now(), Action::Flood);
                }
                if let Some(until) = until {
                    self.plan(until, Action::Reform);
                }
            }
            FaultKind::Meet => {
                let first = self.islands[0].clone();
                for island in 1..self.islands.len() {
                    let one = self.islands[island][0];
                    let other = first[self.schedule.below(first.len())];
                    self.sim.tell(one, other);
                }
            }
        }
    }

    /// Contacts of nodes that never lived.
    fn imagine(&mut self) -> Vec<overlay_core::Contact<Node>> {
        (0..PHANTOMS)
            .map(|_| {
                let node = self.sim.imagine();
                self.sim.contact(node).clone()
            })
            .collect()
    }

    /// A share of the live nodes, random ones.
    fn some(&mut self, share: f64) -> Vec<Node> {
        let mut live: Vec<Node> = self.sim.live().collect();
        self.schedule.shuffle(&mut live);
        live.truncate((live.len() as f64 * share).round() as usize);
        live
    }

    /// Everyone dies, and starts again with peers it remembers from its disk.
    fn restart_all(&mut self, remembered: usize) {
        let live: Vec<Node> = self.sim.live().collect();
        let known: Vec<Vec<Node>> = live
            .iter()
            .map(|node| {
                let Some(overlay) = self.sim.overlay(*node) else {
                    return Vec::new();
                };
                let leafs = overlay.smaller_leafs().iter().chain(overlay.larger_leafs());
                let mut all: Vec<Node> = leafs.map(|leaf| leaf.peer).collect();
                all.extend(overlay.neighbourhood().map(|near| near.peer));
                all.sort_unstable();
                all.dedup();
                self.schedule.shuffle(&mut all);
                all.truncate(remembered);
                all
            })
            .collect();
        for node in &live {
            self.sim.crash(*node);
        }
        for node in &live {
            self.sim.restart(*node);
        }
        for (node, known) in live.iter().zip(known) {
            for other in known {
                self.sim.tell(*node, other);
            }
        }
    }
}
