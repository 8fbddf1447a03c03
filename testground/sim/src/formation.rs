//! Making a network: nodes join one after the other, by protocol.

use std::time::Duration;

use overlay_core::State;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::dice::{Dice, Purpose};
use crate::{Node, Observer, Sim};

/// The longest that one join may take.
const JOIN_TIME: Duration = Duration::from_secs(60);

/// By whom a node joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contact {
    /// By the node nearest to it, as the Pastry paper assumes.
    #[default]
    Nearest,
    /// By anyone: it has to find a near one itself.
    Random,
}

/// A node did not become active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("node {node} has not joined within {:.0} s", JOIN_TIME.as_secs_f64())]
pub struct NeverJoined {
    /// Which.
    pub node: Node,
}

/// Lets nodes join until `count` are active, and each settle before the next comes.
///
/// # Errors
/// When a node does not become active.
pub fn grow(
    sim: &mut Sim,
    count: usize,
    contact: Contact,
    observer: &mut impl Observer,
) -> Result<(), NeverJoined> {
    let mut dice = Dice::new(sim.seed() ^ sim.started() as u64, Purpose::Schedule);
    while sim.ring().len() < count {
        join(sim, contact, &mut dice, observer)?;
    }
    Ok(())
}

/// One node joins and settles.
///
/// # Errors
/// When it does not become active.
pub fn join(
    sim: &mut Sim,
    contact: Contact,
    dice: &mut Dice,
    observer: &mut impl Observer,
) -> Result<Node, NeverJoined> {
    let node = sim.add();
    if let Some(other) = introduce(sim, node, contact, dice) {
        sim.tell(node, other);
    }
    wait_until_active(sim, node, observer)?;
    sim.run_until_quiet(JOIN_TIME, observer);
    Ok(node)
}

/// Lets time pass until a node is active.
///
/// # Errors
/// When it is not within a minute.
pub fn wait_until_active(
    sim: &mut Sim,
    node: Node,
    observer: &mut impl Observer,
) -> Result<(), NeverJoined> {
    let end = sim.now() + JOIN_TIME;
    let joining = |sim: &Sim| {
        sim.overlay(node)
            .is_some_and(|overlay| overlay.state() == State::Joining)
    };
    while joining(sim) && sim.step(end, observer) {}
    if joining(sim) {
        return Err(NeverJoined { node });
    }
    Ok(())
}

/// Whom a node is told of; `None` when it is the first.
pub fn introduce(sim: &Sim, node: Node, contact: Contact, dice: &mut Dice) -> Option<Node> {
    if sim.ring().is_empty() {
        return None;
    }
    match contact {
        Contact::Nearest => sim.nearest_active(node),
        // Whoever follows a random identifier: good enough for a random acquaintance.
        Contact::Random => sim.ring().above(dice.guid()).next().map(|(_, node)| node),
    }
}
