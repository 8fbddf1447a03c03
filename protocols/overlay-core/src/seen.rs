//! Duplicates (P11).

use std::collections::BTreeSet;

use crate::MessageId;

/// Messages remembered: a retransmission comes within seconds of the first, and no node
/// forwards this many in that time.
pub(crate) const MEMORY: usize = 16 * 1024;

/// The messages this node has taken from a hop before it, in two generations: when the
/// younger is full it becomes the older, and the older is forgotten. So the last [`MEMORY`]
/// at least are known, and no list of their order is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    young: BTreeSet<MessageId>,
    old: BTreeSet<MessageId>,
}

impl Seen {
    /// Notes a message. Says whether it is new.
    pub(crate) fn note(&mut self, id: MessageId) -> bool {
        if self.old.contains(&id) || !self.young.insert(id) {
            return false;
        }
        if self.young.len() >= MEMORY {
            self.old = std::mem::take(&mut self.young);
        }
        true
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use guid::Guid;

    use super::*;

    #[test]
    fn the_last_are_remembered_and_those_long_before_are_not() {
        let id = |number: usize| MessageId {
            origin: Guid::new(1),
            number: number as u64,
        };
        let mut seen = Seen::default();
        for number in 0..3 * MEMORY {
            assert!(seen.note(id(number)));
            assert!(!seen.note(id(number.saturating_sub(MEMORY - 1))));
        }
        assert!(seen.note(id(0)));
    }
}
