//! Routing ends at the closest live node, and has no loops.

use super::{Invariant, walk::walk};
use crate::dice::{Dice, Purpose};
use crate::{Node, Sim};

/// Keys tried in a full check.
const KEYS: usize = 500;

/// Checked in full: ways from random nodes to random keys.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    checks: u64,
}

impl Invariant for Routing {
    fn name(&self) -> &'static str {
        "routing ends at the closest live node without loops"
    }

    fn source(&self) -> &'static str {
        "Pastry, sections 2.3 and 2.4; P1, P5"
    }

    fn check(&mut self, sim: &Sim) -> Result<(), String> {
        self.checks += 1;
        let nodes: Vec<Node> = sim.ring().iter().map(|(_, node)| node).collect();
        if nodes.is_empty() {
            return Ok(());
        }
        let mut dice = Dice::new(sim.seed() ^ self.checks, Purpose::Lookups);
        for _ in 0..KEYS {
            let from = nodes[dice.below(nodes.len())];
            let key = dice.guid();
            let Some(way) = walk(sim, from, key)? else {
                continue;
            };
            let (end, root) = (way.last().copied(), sim.ring().root(key));
            if end != root {
                return Err(format!(
                    "the way {way:?} to {key} ends there and not at {root:?}"
                ));
            }
        }
        Ok(())
    }
}
