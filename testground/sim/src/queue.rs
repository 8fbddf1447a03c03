//! What is to happen, in order of time; of two at the same moment, the one that was
//! planned first (S3).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use overlay_core::{Message, Time};

use crate::Node;

/// When something is due, and its place among what is due at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) at: Time,
    pub(crate) sequence: u64,
}

/// A heap's entry: small, because a heap moves its entries about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    due: Due,
    what: u32,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        // The standard heap gives the greatest first; wanted is the earliest.
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A message on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) from: Node,
    pub(crate) to: Node,
    pub(crate) message: Message<Node>,
}

/// Messages on their way. They lie in slots that are used again, and the heap sorts
/// their numbers.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    heap: BinaryHeap<Key>,
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
}

impl Flights {
    pub(crate) fn push(&mut self, due: Due, flight: Flight) {
        let what = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(flight);
                slot
            }
            None => {
                self.slots.push(Some(flight));
                (self.slots.len() - 1) as u32
            }
        };
        self.heap.push(Key { due, what });
    }

    pub(crate) fn next(&self) -> Option<Due> {
        self.heap.peek().map(|key| key.due)
    }

    pub(crate) fn pop(&mut self) -> Option<Flight> {
        let key = self.heap.pop()?;
        self.free.push(key.what);
        self.slots[key.what as usize].take()
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

/// Nodes that want to be woken. A node has one entry that counts: the engine forgets the
/// others when they come up (S4).
#[derive(Debug, Default)]
pub(crate) struct Wakeups {
    heap: BinaryHeap<Key>,
}

impl Wakeups {
    pub(crate) fn push(&mut self, due: Due, node: Node) {
        self.heap.push(Key { due, what: node });
    }

    pub(crate) fn next(&self) -> Option<Due> {
        self.heap.peek().map(|key| key.due)
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, Node)> {
        self.heap.pop().map(|key| (key.due.at, key.what))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_earliest_comes_first_and_of_equals_the_first_planned(
            times in prop::collection::vec(0u64..20, 0..100),
        ) {
            let mut wakeups = Wakeups::default();
            for (number, at) in times.iter().enumerate() {
                let due = Due { at: Time::from_micros(*at), sequence: number as u64 };
                wakeups.push(due, number as Node);
            }
            let mut expected: Vec<(u64, Node)> = times
                .iter()
                .enumerate()
                .map(|(number, at)| (*at, number as Node))
                .collect();
            expected.sort();
            let mut got = Vec::new();
            while let Some((at, node)) = wakeups.pop() {
                got.push((at.as_micros(), node));
            }
            prop_assert_eq!(got, expected);
        }
    }
}
