//! What a leaf set decides about the nodes closest to a key (O10).

use guid::Guid;

use crate::{Contact, LeafSet};

/// The `k` nodes closest to `key`, closest first, if `me` and its leaf set decide it.
///
/// They do if the leaf set is not full, because then it is the whole overlay; or if each
/// of the `k` is closer to the key than every node outside the leaf set can be. Those lie
/// beyond its two ends, so no nearer than the nearer end, given that the key lies between.
pub(crate) fn closest(
    me: &Contact,
    leaf_set: &LeafSet,
    size: usize,
    key: Guid,
    k: usize,
) -> Option<Vec<Contact>> {
    let mut nodes: Vec<&Contact> = leaf_set.contacts().chain([me]).collect();
    nodes.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
    let known = nodes.len();
    nodes.truncate(k);
    // One of the known is this node itself.
    if known > size {
        let (low, high) = (leaf_set.smaller.last()?.guid, leaf_set.larger.last()?.guid);
        if low.clockwise_to(key) > low.clockwise_to(high) {
            return None;
        }
        let horizon = key.distance(low).min(key.distance(high));
        if nodes.len() < k || nodes.iter().any(|node| key.distance(node.guid) > horizon) {
            return None;
        }
    }
    Some(nodes.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use libp2p_identity::PeerId;

    use super::*;

    fn contact(guid: u128) -> Contact {
        Contact {
            guid: Guid::new(guid),
            peer: PeerId::random(),
            addrs: Vec::new(),
        }
    }

    fn numbers(set: Option<Vec<Contact>>) -> Option<Vec<u128>> {
        set.map(|set| set.iter().map(|contact| contact.guid.as_u128()).collect())
    }

    #[test]
    fn a_leaf_set_that_is_not_full_is_the_whole_overlay() {
        let me = contact(100);
        assert_eq!(
            numbers(closest(&me, &LeafSet::default(), 4, Guid::new(7), 3)),
            Some(vec![100])
        );
        let (a, b) = (contact(50), contact(200));
        let leaf_set = LeafSet {
            smaller: vec![a.clone(), b.clone()],
            larger: vec![b, a],
        };
        assert_eq!(
            numbers(closest(&me, &leaf_set, 4, Guid::new(180), 2)),
            Some(vec![200, 100])
        );
    }

    #[test]
    fn a_full_one_decides_what_lies_well_inside() {
        let me = contact(100);
        let leaf_set = LeafSet {
            smaller: vec![contact(90), contact(80)],
            larger: vec![contact(110), contact(120)],
        };
        let decide = |key, k| numbers(closest(&me, &leaf_set, 4, Guid::new(key), k));
        assert_eq!(decide(101, 3), Some(vec![100, 110, 90]));
        // A node at 121 or 79 could be closer than the third.
        assert_eq!(decide(115, 3), None);
        assert_eq!(decide(115, 2), Some(vec![110, 120]));
        assert_eq!(decide(79, 1), None);
        assert_eq!(decide(500, 1), None);
    }
}
