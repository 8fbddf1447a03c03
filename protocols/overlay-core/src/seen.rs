//! Duplicates (P11).

use std::collections::{BTreeSet, VecDeque};

use crate::MessageId;

/// Messages remembered: a retransmission comes within seconds of the first, and no node
/// forwards this many in that time.
const MEMORY: usize = 16 * 1024;

/// The messages this node has taken from a hop before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    known: BTreeSet<MessageId>,
    order: VecDeque<MessageId>,
}

impl Seen {
    /// Notes a message. Says whether it is new.
    pub(crate) fn note(&mut self, id: MessageId) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MEMORY {
            let oldest = self.order.pop_front().expect("it has more than none");
            self.known.remove(&oldest);
        }
        true
    }
}
