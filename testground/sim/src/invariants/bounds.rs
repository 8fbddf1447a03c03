//! Every state is within its bounds.

use super::Invariant;
use crate::Sim;

/// Checked in full, for every node; the core's own checks panic where they do not hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds;

impl Invariant for Bounds {
    fn name(&self) -> &'static str {
        "bounds hold"
    }

    fn source(&self) -> &'static str {
        "P26"
    }

    fn check(&mut self, sim: &Sim) -> Result<(), String> {
        let config = sim.config();
        for node in sim.live() {
            let Some(overlay) = sim.overlay(node) else {
                continue;
            };
            overlay.check_invariants();
            let leafs = overlay.smaller_leafs().len() + overlay.larger_leafs().len();
            let near = overlay.neighbourhood().count();
            if leafs > config.leaf_set || near > config.neighbourhood {
                return Err(format!(
                    "node {node} has {leafs} leafs and {near} neighbours"
                ));
            }
        }
        Ok(())
    }
}
