//! Bad nodes that take the root's place.

use overlay_core::{Answer, Body, Message, Routed};

use super::Sent;
use super::colluders::Colluders;
use super::drops::acknowledge;
use crate::Node;
use crate::dice::Dice;

/// Nodes named in a false answer: as many as a root that is asked for its whole leaf set.
const NAMED: usize = 17;

/// A message that went astray so often is thrown away.
const ASTRAY: u8 = 8;

pub(super) fn receives(
    colluders: &Colluders,
    dice: &mut Dice,
    at: Node,
    from: Node,
    message: Message<Node>,
    sends: &mut Vec<Sent>,
) -> Option<Message<Node>> {
    let Message::Route(routed) = message else {
        return Some(message);
    };
    match &routed.body {
        Body::ReplicaSet { .. } | Body::NeighbourSet { .. } => {
            sends.push(acknowledge(at, from, routed.id));
            sends.extend(false_answer(colluders, routed));
            None
        }
        Body::App { .. } | Body::Search(_) => {
            sends.push(acknowledge(at, from, routed.id));
            let hops = routed.hops.saturating_add(1);
            if let Some(other) = colluders.random(dice).filter(|_| hops < ASTRAY) {
                sends.push(Sent {
                    from: at,
                    to: other.peer,
                    message: Message::Route(Routed { hops, ..routed }),
                });
            }
            None
        }
        // Who joins by them is theirs to be routed through.
        Body::Join { .. } => Some(Message::Route(routed)),
    }
}

/// The bad node closest to the key answers as if it were the root.
fn false_answer(colluders: &Colluders, routed: Routed<Node>) -> Option<Sent> {
    let named = colluders.closest(routed.key, NAMED);
    let root = named.first()?.clone();
    Some(Sent {
        from: root.peer,
        to: routed.origin.peer,
        message: Message::Reply {
            id: routed.id,
            hops: routed.hops.saturating_add(1),
            trace: None,
            from: root,
            answer: Answer::ReplicaSet(named),
        },
    })
}
