//! Following the routing rule from node to node, without a message.

use guid::Guid;

use crate::{Node, Sim};

/// More hops than any way has.
const MOST: usize = 64;

/// The nodes on the way to a key, the first one's own included; an error where the way
/// comes back, or does not come closer. `None` where it meets a table's entry that has died
/// and was not asked since: a message would be sent round it after a missed acknowledgement.
pub(super) fn walk(sim: &Sim, from: Node, key: Guid) -> Result<Option<Vec<Node>>, String> {
    let base = sim.config().base();
    let mut way = vec![from];
    let mut at = from;
    while let Some(overlay) = sim.overlay(at) {
        let Some(next) = overlay.next_hop(key) else {
            return Ok(Some(way));
        };
        let (here, there) = (sim.guid(at), next.guid);
        let more = there.shared_prefix(key, base) > here.shared_prefix(key, base);
        if !more && key.cmp_distance(there, here).is_ge() {
            return Err(format!(
                "the hop {at} to {} for {key} comes no closer",
                next.peer
            ));
        }
        at = next.peer;
        if way.contains(&at) || way.len() > MOST {
            return Err(format!("the way {way:?} to {key} comes back to {at}"));
        }
        way.push(at);
    }
    Ok(None)
}
