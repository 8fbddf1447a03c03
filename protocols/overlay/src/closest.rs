//! What a leaf set decides about the nodes closest to a key (O10).

use guid::Guid;

use crate::{Contact, LeafSet};

/// The `k` nodes closest to `key`, closest first, if `me` and its leaf set decide it.
///
/// They do if the leaf set names the whole overlay; or if each of the `k` is closer to the
/// key than every node outside the leaf set can be. Those lie beyond its two ends, so no
/// nearer than the nearer end, given that the key lies between. A leaf set with room left
/// is no proof of the former: it may have a gap that is being mended.
pub(crate) fn closest(
    me: &Contact,
    leaf_set: &LeafSet,
    whole_ring: bool,
    key: Guid,
    k: usize,
) -> Option<Vec<Contact>> {
    let mut nodes: Vec<&Contact> = leaf_set.contacts().chain([me]).collect();
    nodes.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
    nodes.truncate(k);
    if !whole_ring {
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
    fn a_leaf_set_that_knows_the_whole_ring_decides_everything() {
        let me = contact(100);
        assert_eq!(
            numbers(closest(&me, &LeafSet::default(), true, Guid::new(7), 3)),
            Some(vec![100])
        );
        let (a, b) = (contact(50), contact(200));
        let leaf_set = LeafSet {
            smaller: vec![a.clone(), b.clone()],
            larger: vec![b, a],
        };
        assert_eq!(
            numbers(closest(&me, &leaf_set, true, Guid::new(180), 2)),
            Some(vec![200, 100])
        );
    }

    #[test]
    fn one_with_a_gap_decides_nothing_beyond_it() {
        let me = contact(100);
        let one_sided = LeafSet {
            smaller: vec![contact(90)],
            larger: Vec::new(),
        };
        assert_eq!(closest(&me, &one_sided, false, Guid::new(95), 1), None);
        let short = LeafSet {
            smaller: vec![contact(90)],
            larger: vec![contact(110)],
        };
        assert_eq!(closest(&me, &short, false, Guid::new(105), 3), None);
    }

    #[test]
    fn a_full_one_decides_what_lies_well_inside() {
        let me = contact(100);
        let leaf_set = LeafSet {
            smaller: vec![contact(90), contact(80)],
            larger: vec![contact(110), contact(120)],
        };
        let decide = |key, k| numbers(closest(&me, &leaf_set, false, Guid::new(key), k));
        assert_eq!(decide(101, 3), Some(vec![100, 110, 90]));
        // A node at 121 or 79 could be closer than the third.
        assert_eq!(decide(115, 3), None);
        assert_eq!(decide(115, 2), Some(vec![110, 120]));
        assert_eq!(decide(79, 1), None);
        assert_eq!(decide(500, 1), None);
    }
}
