//! Nobody holds a contact that never answered.

use super::Invariant;
use crate::Sim;

/// Checked in full, for every good node: bad nodes name others that never lived, and no set
/// may have one of them.
#[derive(Clone, Copy, Debug)]
pub struct FirstHand;

impl Invariant for FirstHand {
    fn name(&self) -> &'static str {
        "nobody holds a contact that never answered"
    }

    fn source(&self) -> &'static str {
        "P13"
    }

    fn check(&mut self, sim: &Sim) -> Result<(), String> {
        for node in sim.live().filter(|node| !sim.is_bad(*node)) {
            let Some(overlay) = sim.overlay(node) else {
                continue;
            };
            let leafs = overlay.smaller_leafs().iter().chain(overlay.larger_leafs());
            let table = overlay.table().map(|(_, _, contact)| contact);
            let mut held = leafs.chain(table).chain(overlay.neighbourhood());
            if let Some(never) = held.find(|contact| !sim.has_lived(contact.peer)) {
                let other = never.peer;
                return Err(format!("node {node} holds {other}, which never lived"));
            }
        }
        Ok(())
    }
}
