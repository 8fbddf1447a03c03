//! Which arcs two nodes keep together.

use std::collections::BTreeMap;

use guid::{Guid, Span};

/// For each known node the arcs that it and `me` both keep, and the arcs `me` keeps.
///
/// On the ring the k nodes closest to a key are neighbours of each other. So for each
/// window of k nodes in ring order there is one arc of keys that belong to it: from the
/// middle between the node before the window and the window's last, to the middle between
/// its first and the node behind it. `others` has to reach k nodes to both sides, or
/// round the whole ring (R12).
pub(crate) struct Shares {
    /// Arcs shared with each node.
    pub(crate) with: BTreeMap<Guid, Vec<Span>>,
    /// Arcs that belong to `me`.
    pub(crate) mine: Vec<Span>,
}

impl Shares {
    pub(crate) fn new(me: Guid, others: impl IntoIterator<Item = Guid>, k: usize) -> Shares {
        let mut ring: Vec<Guid> = others.into_iter().chain([me]).collect();
        ring.sort_unstable();
        ring.dedup();
        let n = ring.len();
        if n <= k {
            let others = ring.iter().filter(|node| **node != me);
            return Shares {
                with: others.map(|node| (*node, vec![Span::full()])).collect(),
                mine: vec![Span::full()],
            };
        }
        let at = ring
            .binary_search(&me)
            .expect("this node was put into the ring");
        let mut shares = Shares {
            with: BTreeMap::new(),
            mine: Vec::new(),
        };
        for back in (0..k).rev() {
            let first = at + n - back;
            let node = |i: usize| ring[i % n];
            let from = middle(node(first - 1), node(first + k - 1));
            let to = middle(node(first), node(first + k));
            if from == to {
                continue;
            }
            let span = Span::new(Guid::new(from.as_u128().wrapping_add(1)), to);
            shares.mine.push(span);
            for i in first..first + k {
                if node(i) != me {
                    shares.with.entry(node(i)).or_default().push(span);
                }
            }
        }
        shares
    }
}

/// The last key going up from `a` to `b` that is not closer to `b`.
fn middle(a: Guid, b: Guid) -> Guid {
    Guid::new(a.as_u128().wrapping_add(a.clockwise_to(b) / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn closest(key: Guid, ring: &[Guid], k: usize) -> Vec<Guid> {
        let mut ring = ring.to_vec();
        ring.sort_by(|a, b| key.cmp_distance(*a, *b));
        ring.truncate(k);
        ring
    }

    proptest! {
        #[test]
        fn an_arc_belongs_to_whoever_is_closest(
            ring in proptest::collection::btree_set(any::<u128>(), 1..12),
            keys in proptest::collection::vec(any::<u128>(), 64),
            k in 1usize..5,
        ) {
            let ring: Vec<Guid> = ring.into_iter().map(Guid::new).collect();
            let me = ring[0];
            let shares = Shares::new(me, ring.iter().copied(), k);
            for key in keys.into_iter().map(Guid::new) {
                let set = closest(key, &ring, k);
                let mine = shares.mine.iter().any(|span| span.contains(key));
                prop_assert_eq!(mine, set.contains(&me));
                for other in &ring[1..] {
                    let both = set.contains(&me) && set.contains(other);
                    let shared = shares.with.get(other).is_some_and(|spans| {
                        spans.iter().any(|span| span.contains(key))
                    });
                    prop_assert_eq!(shared, both);
                }
            }
        }
    }
}
