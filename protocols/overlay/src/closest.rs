//! What a leaf set decides about the nodes closest to a key (O10).

use guid::{Guid, Span};

use crate::{Contact, LeafSet};

/// The `k` nodes closest to `key`, closest first, if `me` and its leaf set decide it.
///
/// They do if the leaf set names the whole overlay; or if each of the `k` is closer to the
/// key than every node outside the leaf set can be. Those lie beyond the ends of the
/// `known_arc`, so no nearer than the nearer end, given that the key lies between.
pub(crate) fn closest(
    me: &Contact,
    leaf_set: &LeafSet,
    known_arc: Option<Span>,
    key: Guid,
    k: usize,
) -> Option<Vec<Contact>> {
    let mut nodes: Vec<&Contact> = leaf_set.contacts().chain([me]).collect();
    nodes.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
    nodes.truncate(k);
    if let Some(arc) = known_arc {
        if !arc.contains(key) {
            return None;
        }
        let horizon = key.distance(arc.from).min(key.distance(arc.to));
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
            numbers(closest(&me, &LeafSet::default(), None, Guid::new(7), 3)),
            Some(vec![100])
        );
        let (a, b) = (contact(50), contact(200));
        let leaf_set = LeafSet {
            smaller: vec![a.clone(), b.clone()],
            larger: vec![b, a],
        };
        assert_eq!(
            numbers(closest(&me, &leaf_set, None, Guid::new(180), 2)),
            Some(vec![200, 100])
        );
    }

    fn arc(from: u128, to: u128) -> Option<Span> {
        Some(Span::new(Guid::new(from), Guid::new(to)))
    }

    #[test]
    fn one_with_a_gap_decides_nothing_beyond_it() {
        let me = contact(100);
        // The nodes at 110 and 120 died; who follows them is not known yet.
        let leaf_set = LeafSet {
            smaller: vec![contact(90), contact(80)],
            larger: vec![contact(400)],
        };
        let decide = |key, k| numbers(closest(&me, &leaf_set, arc(80, 120), Guid::new(key), k));
        assert_eq!(decide(101, 2), Some(vec![100, 90]));
        // A node at 121 could be closer than this one.
        assert_eq!(decide(112, 1), None);
        assert_eq!(decide(300, 1), None);
        assert_eq!(decide(101, 3), None);
    }

    #[test]
    fn a_full_one_decides_what_lies_well_inside() {
        let me = contact(100);
        let leaf_set = LeafSet {
            smaller: vec![contact(90), contact(80)],
            larger: vec![contact(110), contact(120)],
        };
        let decide = |key, k| numbers(closest(&me, &leaf_set, arc(80, 120), Guid::new(key), k));
        assert_eq!(decide(101, 3), Some(vec![100, 110, 90]));
        // A node at 121 or 79 could be closer than the third.
        assert_eq!(decide(115, 3), None);
        assert_eq!(decide(115, 2), Some(vec![110, 120]));
        assert_eq!(decide(79, 1), None);
        assert_eq!(decide(500, 1), None);
    }
}
