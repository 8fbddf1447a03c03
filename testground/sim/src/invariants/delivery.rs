//! No delivery by an inactive or wrong node.

use overlay_core::State;

use super::Invariant;
use crate::{Happening, Sim};

/// Checked at each delivery, against the nodes that are active at that moment.
#[derive(Clone, Copy, Debug)]
pub struct Delivered;

impl Invariant for Delivered {
    fn name(&self) -> &'static str {
        "only the root delivers"
    }

    fn source(&self) -> &'static str {
        "MSPastry, section 3.1, consistent routing; P5, P8"
    }

    fn saw(&mut self, sim: &Sim, what: &Happening) -> Result<(), String> {
        let Happening::Delivered(delivery) = what else {
            return Ok(());
        };
        if sim.is_bad(delivery.at) {
            // What a bad node does with a message binds nobody.
            return Ok(());
        }
        let state = sim.overlay(delivery.at).map(|overlay| overlay.state());
        if state != Some(State::Active) {
            return Err(format!("node {} is {state:?} and delivers", delivery.at));
        }
        if delivery.root != Some(delivery.at) {
            let (at, key) = (delivery.at, delivery.key);
            return Err(format!(
                "node {at} delivers {key}, which is {:?}'s",
                delivery.root
            ));
        }
        Ok(())
    }
}
