//! The truth: who is active, in the order of the ring. Nodes know a part of it.

use std::collections::BTreeMap;

use guid::Guid;

use crate::Node;

/// The active nodes by identifier.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    nodes: BTreeMap<Guid, Node>,
}

impl Ring {
    pub(crate) fn insert(&mut self, guid: Guid, node: Node) {
        self.nodes.insert(guid, node);
    }

    pub(crate) fn remove(&mut self, guid: Guid) -> bool {
        self.nodes.remove(&guid).is_some()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Everyone, by identifier.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Guid, Node)> + '_ {
        self.nodes.iter().map(|(guid, node)| (*guid, *node))
    }

    /// Going up from `guid`, itself excluded, and round.
    pub fn above(&self, guid: Guid) -> impl Iterator<Item = (Guid, Node)> + '_ {
        let (up, round) = (self.nodes.range(guid..), self.nodes.range(..guid));
        let all = up.chain(round).map(|(guid, node)| (*guid, *node));
        all.filter(move |(other, _)| *other != guid)
    }

    /// Going down from `guid`, itself excluded, and round.
    pub fn below(&self, guid: Guid) -> impl Iterator<Item = (Guid, Node)> + '_ {
        let (down, round) = (self.nodes.range(..guid), self.nodes.range(guid..));
        let all = down.rev().chain(round.rev());
        all.map(|(guid, node)| (*guid, *node))
            .filter(move |(other, _)| *other != guid)
    }

    /// The `count` nodes closest to a key, closest first (G5).
    pub fn closest(&self, key: Guid, count: usize) -> Vec<Node> {
        let at = self.nodes.get(&key).map(|node| (key, *node));
        let mut all: Vec<(Guid, Node)> = at
            .into_iter()
            .chain(self.above(key).take(count))
            .chain(self.below(key).take(count))
            .collect();
        all.sort_by(|(a, _), (b, _)| key.cmp_distance(*a, *b));
        all.dedup_by_key(|(guid, _)| *guid);
        all.truncate(count);
        all.into_iter().map(|(_, node)| node).collect()
    }

    /// The node a key belongs to: the closest (P1).
    pub fn root(&self, key: Guid) -> Option<Node> {
        if let Some(node) = self.nodes.get(&key) {
            return Some(*node);
        }
        let above = self.above(key).next()?;
        let below = self.below(key).next()?;
        let first = key.cmp_distance(above.0, below.0).is_lt();
        Some(if first { above.1 } else { below.1 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn closest_and_root_are_what_sorting_everyone_says(
            guids in prop::collection::btree_set(prop_oneof![0u128..40, any::<u128>()], 1..30),
            key in prop_oneof![0u128..40, any::<u128>()],
            count in 1usize..6,
        ) {
            let key = Guid::new(key);
            let mut ring = Ring::default();
            let mut all: Vec<(Guid, Node)> = Vec::new();
            for (number, guid) in guids.into_iter().enumerate() {
                ring.insert(Guid::new(guid), number as Node);
                all.push((Guid::new(guid), number as Node));
            }
            all.sort_by(|(a, _), (b, _)| key.cmp_distance(*a, *b));
            prop_assert_eq!(ring.root(key), Some(all[0].1));
            all.truncate(count);
            let all: Vec<Node> = all.into_iter().map(|(_, node)| node).collect();
            prop_assert_eq!(ring.closest(key, count), all);
        }
    }
}
