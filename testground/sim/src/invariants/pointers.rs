//! Pointers reach live replicas.

use std::collections::BTreeMap;
use std::time::Duration;

use guid::Guid;
use overlay_core::Time;

use super::{Invariant, walk::walk};
use crate::dice::{Dice, Purpose};
use crate::objects::holds;
use crate::{Arrival, Happening, Node, Sim};

/// Nodes from which each published object is looked for in a full check.
const WAYS: usize = 3;

/// A pointer that its holder asked for just before it died may still have been on its way,
/// and one that has expired waits for the next sweep.
const SLACK: Duration = Duration::from_secs(60);

/// That a message to an object reaches only nodes that hold it is checked at each one.
/// Checked in full: every root of every object that somebody publishes keeps a pointer to
/// each of its holders, so that the way to it from anywhere meets one; and a pointer to a
/// node that is gone is gone with its lifetime.
#[derive(Clone, Debug, Default)]
pub struct Pointers {
    /// When nodes died or left, the last time.
    gone: BTreeMap<Node, Time>,
    checks: u64,
}

/// Every pointer that a live good node keeps, by where it lies and what for.
type Kept = BTreeMap<(Node, Guid), Vec<Node>>;

impl Invariant for Pointers {
    fn name(&self) -> &'static str {
        "pointers reach live replicas"
    }

    fn source(&self) -> &'static str {
        "Tapestry, section III-B; L2 to L7"
    }

    fn saw(&mut self, sim: &Sim, what: &Happening) -> Result<(), String> {
        match what {
            Happening::Gone(node) => {
                self.gone.insert(*node, sim.now());
                Ok(())
            }
            Happening::Reached(Arrival { at, object, .. }) => {
                if sim.is_bad(*at) || holds(sim, *at, *object) {
                    return Ok(());
                }
                Err(format!(
                    "a message to {object} reaches {at}, which holds it not"
                ))
            }
            _ => Ok(()),
        }
    }

    fn check(&mut self, sim: &Sim) -> Result<(), String> {
        self.checks += 1;
        let kept = self.kept(sim)?;
        let nodes: Vec<Node> = sim.ring().iter().map(|(_, node)| node).collect();
        let mut dice = Dice::new(sim.seed() ^ self.checks, Purpose::Objects);
        for holder in nodes.iter().copied().filter(|node| !sim.is_bad(*node)) {
            let published = sim.overlay(holder).map(overlay_core::Overlay::published);
            for object in published.into_iter().flatten() {
                roots_know(sim, &kept, object, holder)?;
                for _ in 0..WAYS {
                    let from = nodes[dice.below(nodes.len())];
                    let salt = dice.below(sim.config().location.roots.into()) as u8;
                    way_meets_one(sim, &kept, object, salt, from)?;
                }
            }
        }
        Ok(())
    }
}

impl Pointers {
    /// All pointers, each of which may be there.
    fn kept(&self, sim: &Sim) -> Result<Kept, String> {
        let settings = &sim.config().location;
        let (now, lifetime) = (sim.now(), settings.lifetime);
        let mut kept = Kept::new();
        for node in sim.live().filter(|node| !sim.is_bad(*node)) {
            let Some(overlay) = sim.overlay(node) else {
                continue;
            };
            let mut count = 0;
            for (object, holder, expires) in overlay.pointers_until() {
                count += 1;
                let wrong = |what: &str| {
                    Err(format!(
                        "node {node} keeps a pointer for {object} to {holder} until {expires}, {what}"
                    ))
                };
                if !sim.has_lived(holder) {
                    return wrong("which never lived");
                }
                if expires > now + lifetime {
                    return wrong("longer than a lifetime from now");
                }
                if expires + SLACK < now {
                    return wrong("which is over");
                }
                // Restarted under its identifier it may hold the object again.
                let gone = self.gone.get(&holder);
                let holds = holds(sim, holder, object);
                if gone.is_some_and(|gone| !holds && expires > *gone + lifetime + SLACK) {
                    return wrong("longer than its holder's death allows");
                }
                if expires > now {
                    let of_object = kept.entry((node, object)).or_default();
                    of_object.push(holder);
                    if of_object.len() > settings.max_pointers_of_object {
                        return wrong("one more than an object may have");
                    }
                }
            }
            if count > settings.max_pointers {
                return Err(format!("node {node} keeps {count} pointers"));
            }
        }
        Ok(kept)
    }
}

/// Each root of an object is its holder itself, or keeps a pointer to it, or has no room.
fn roots_know(sim: &Sim, kept: &Kept, object: Guid, holder: Node) -> Result<(), String> {
    let settings = &sim.config().location;
    for salt in 0..settings.roots {
        let Some(root) = sim.ring().root(object.salted(salt)) else {
            continue;
        };
        if root == holder || sim.is_bad(root) {
            continue;
        }
        let known = kept.get(&(root, object)).map_or(&[][..], Vec::as_slice);
        let full = known.len() >= settings.max_pointers_of_object
            || sim
                .overlay(root)
                .is_some_and(|overlay| overlay.stats().pointers_refused > 0);
        if !known.contains(&holder) && !full {
            return Err(format!(
                "root {root} number {salt} of {object} has no pointer to {holder}, which holds it"
            ));
        }
    }
    Ok(())
}

/// The way from a node to a root of an object meets a holder, or a pointer to a live one.
fn way_meets_one(sim: &Sim, kept: &Kept, object: Guid, salt: u8, from: Node) -> Result<(), String> {
    // A way that meets a dead entry is gone round, and a loop is another invariant's.
    let Ok(Some(way)) = walk(sim, from, object.salted(salt)) else {
        return Ok(());
    };
    let knows = |at: &Node| {
        let known = kept.get(&(*at, object)).into_iter().flatten();
        holds(sim, *at, object) || known.into_iter().any(|holder| holds(sim, *holder, object))
    };
    if way.iter().any(knows) {
        return Ok(());
    }
    Err(format!(
        "the way {way:?} to root {salt} of {object} meets no pointer to a live holder"
    ))
}
