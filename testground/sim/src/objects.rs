//! Objects that nodes publish, messages to them, and what those cost.

use std::time::Duration;

use guid::Guid;
use overlay_core::{Outcome, RequestId, Time};

use crate::dice::Dice;
use crate::{Happening, Node, Observer, Sim};

/// Messages to objects under way at a time, of all nodes together.
const BATCH: usize = 2_000;

/// Objects that are being published at a time.
const PUBLISHED_AT_ONCE: usize = 200;

/// Longer than a request may take, so that each has its outcome by then.
const OVERDUE: Duration = Duration::from_secs(60);

/// An object and who publishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The object.
    pub guid: Guid,
    /// Its holders, dead or alive.
    pub holders: Vec<Node>,
}

impl Object {
    /// The nearest holder that is active, with the one-way microseconds to it; `None` where
    /// none is.
    pub fn nearest_holder(&self, sim: &Sim, from: Node) -> Option<(u64, Node)> {
        let active = self.holders.iter().filter(|node| is_active(sim, **node));
        let far = active.map(|node| (sim.network().latency(from, *node), *node));
        far.min()
    }
}

/// Whether a node lives and publishes an object.
pub fn holds(sim: &Sim, node: Node, object: Guid) -> bool {
    let overlay = sim.overlay(node);
    overlay.is_some_and(|overlay| overlay.published().any(|one| one == object))
}

/// Whether a node has its place in the network.
pub fn is_active(sim: &Sim, node: Node) -> bool {
    let state = sim.overlay(node).map(overlay_core::Overlay::state);
    state == Some(overlay_core::State::Active)
}

/// `count` objects with `holders` random active holders each, published and waited for.
///
/// # Panics
/// When fewer nodes than `holders` are active.
pub fn publish(sim: &mut Sim, count: usize, holders: usize, dice: &mut Dice) -> Vec<Object> {
    let mut nodes: Vec<Node> = sim.ring().iter().map(|(_, node)| node).collect();
    assert!(holders <= nodes.len(), "fewer nodes than holders");
    let mut all: Vec<Object> = Vec::new();
    for _ in 0..count {
        // The first places of a random order.
        for at in 0..holders {
            let other = at + dice.below(nodes.len() - at);
            nodes.swap(at, other);
        }
        all.push(Object {
            guid: dice.guid(),
            holders: nodes[..holders].to_vec(),
        });
    }
    let mut publishing = Publishing::default();
    for batch in all.chunks(PUBLISHED_AT_ONCE) {
        for object in batch {
            for holder in &object.holders {
                publishing.open.push(sim.publish(*holder, object.guid));
            }
        }
        let end = sim.now() + OVERDUE;
        while !publishing.open.is_empty() && sim.step(end, &mut publishing) {}
    }
    all
}

/// Publish commands that have not ended.
#[derive(Default)]
struct Publishing {
    open: Vec<RequestId>,
}

impl Observer for Publishing {
    fn saw(&mut self, _: &Sim, what: &Happening) {
        if let Happening::Ended { request, .. } = what {
            self.open.retain(|open| open != request);
        }
    }
}

/// One message to an object.
#[derive(Clone, Copy, Debug)]
pub struct Errand {
    /// Who sent it.
    pub from: Node,
    /// To which object.
    pub object: Guid,
    /// When.
    pub asked: Time,
    /// The nearest holder at that moment.
    pub nearest: Node,
    /// One-way microseconds to it.
    pub direct: u64,
    /// When a holder had it first, and after how many hops.
    pub reached: Option<(Time, u8)>,
    /// Whether the sender was told, and when.
    pub answered: Option<Time>,
}

impl Errand {
    /// The time until a holder had it over the direct way to the nearest holder; `None`
    /// where it reached nobody, or was sent by a holder.
    pub fn stretch(&self) -> Option<f64> {
        let (time, _) = self.reached?;
        let way = time.since(self.asked).as_micros() as f64;
        (self.direct > 0).then(|| way / self.direct as f64)
    }
}

/// Messages to objects, and what became of them.
#[derive(Clone, Debug, Default)]
pub struct Errands {
    /// By number.
    pub all: Vec<Errand>,
    /// Numbers of those whose sender has not been told.
    open: std::collections::BTreeMap<RequestId, u32>,
}

impl Errands {
    /// A node sends a message to the nearest holder of an object. Says whether there is a
    /// holder; without one nothing is sent.
    pub fn send(&mut self, sim: &mut Sim, from: Node, object: &Object) -> bool {
        let Some((direct, nearest)) = object.nearest_holder(sim, from) else {
            return false;
        };
        let tag = self.all.len() as u32;
        let asked = sim.now();
        let request = sim.send_to_object(from, object.guid, tag);
        self.open.insert(request, tag);
        self.all.push(Errand {
            from,
            object: object.guid,
            asked,
            nearest,
            direct,
            reached: None,
            answered: None,
        });
        true
    }

    /// How many senders have not been told anything.
    pub fn open(&self) -> usize {
        self.open.len()
    }
}

impl Observer for Errands {
    fn saw(&mut self, sim: &Sim, what: &Happening) {
        match what {
            Happening::Reached(arrival) => {
                let errand = self.all.get_mut(arrival.tag as usize);
                if let Some(errand) = errand.filter(|errand| errand.object == arrival.object) {
                    errand.reached.get_or_insert((sim.now(), arrival.hops));
                }
            }
            Happening::Ended {
                request, outcome, ..
            } => {
                let Some(tag) = self.open.remove(request) else {
                    return;
                };
                if let (Ok(Outcome::Found(_)), Some(errand)) =
                    (outcome, self.all.get_mut(tag as usize))
                {
                    errand.answered = Some(sim.now());
                }
            }
            _ => {}
        }
    }
}

/// Each active node that does not hold an object sends `share` of all objects a message.
/// Returns when all have ended.
pub fn send_all(sim: &mut Sim, objects: &[Object], share: f64, dice: &mut Dice) -> Errands {
    let nodes: Vec<Node> = sim.ring().iter().map(|(_, node)| node).collect();
    let mut errands = Errands::default();
    let mut under_way = 0;
    // Object by object they would all come to the same few nodes at once, and more than
    // these keep for others (L9).
    for node in &nodes {
        for object in objects {
            if object.holders.contains(node) || !dice.happens(share) {
                continue;
            }
            under_way += usize::from(errands.send(sim, *node, object));
            if under_way >= BATCH {
                finish(sim, &mut errands);
                under_way = 0;
            }
        }
    }
    finish(sim, &mut errands);
    errands
}

fn finish(sim: &mut Sim, errands: &mut Errands) {
    let end = sim.now() + OVERDUE;
    while errands.open() > 0 && sim.step(end, errands) {}
}
