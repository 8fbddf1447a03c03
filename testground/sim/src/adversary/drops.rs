//! Bad nodes that throw away what is routed through them, and answer probes.

use overlay_core::Message;

use super::Sent;
use crate::Node;

/// The hop before is told that all is well; the core never sees the message.
pub(super) fn receives(
    at: Node,
    from: Node,
    message: Message<Node>,
    sends: &mut Vec<Sent>,
) -> Option<Message<Node>> {
    let Message::Route(routed) = message else {
        return Some(message);
    };
    sends.push(acknowledge(at, from, routed.id));
    None
}

pub(super) fn acknowledge(at: Node, hop_before: Node, id: overlay_core::MessageId) -> Sent {
    Sent {
        from: at,
        to: hop_before,
        message: Message::Ack { id },
    }
}
