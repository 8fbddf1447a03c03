//! Leaf sets agree: each names the nodes next to its owner, and nobody else.

use guid::Guid;
use overlay_core::Contact;

use super::Invariant;
use crate::{Node, Sim};

/// Checked in full, for every active node.
#[derive(Clone, Copy, Debug)]
pub struct LeafSets;

impl Invariant for LeafSets {
    fn name(&self) -> &'static str {
        "leaf sets agree"
    }

    fn source(&self) -> &'static str {
        "Pastry, section 2.1; P2"
    }

    fn check(&mut self, sim: &Sim) -> Result<(), String> {
        let half = sim.config().leaf_set / 2;
        for (guid, node) in sim.ring().iter() {
            let Some(overlay) = sim.overlay(node) else {
                return Err(format!("node {node} is active and dead"));
            };
            let above = sim.ring().above(guid).take(half);
            let below = sim.ring().below(guid).take(half);
            agree(node, overlay.larger_leafs(), above)?;
            agree(node, overlay.smaller_leafs(), below)?;
        }
        Ok(())
    }
}

fn agree(
    node: Node,
    side: &[Contact<Node>],
    truth: impl Iterator<Item = (Guid, Node)>,
) -> Result<(), String> {
    let truth: Vec<Node> = truth.map(|(_, node)| node).collect();
    let known: Vec<Node> = side.iter().map(|contact| contact.peer).collect();
    if known == truth {
        return Ok(());
    }
    Err(format!("node {node} has {known:?} where {truth:?} are"))
}
