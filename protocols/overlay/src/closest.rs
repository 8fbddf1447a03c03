//! What a leaf set decides about the nodes closest to a key (O10).

use std::time::Duration;

use guid::{Guid, Span};

use crate::{Contact, LeafSet, Lost, Newcomer};

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

/// How long the others may take to make up for a lost neighbour's copies. Whoever is lost
/// within that time of another is lost together with it.
pub(crate) const MADE_UP: Duration = Duration::from_secs(60);

/// Of the `k` nodes closest to `key` the most that were lost together, before others could
/// make up for any of them; all of them at a node that is alone but knows that others are.
/// Who came after they were lost kept nothing with them.
pub(crate) fn lost_together(
    me: &Contact,
    leaf_set: &LeafSet,
    lost: &[Lost],
    newcomers: &[Newcomer],
    key: Guid,
    k: usize,
) -> usize {
    if !lost.is_empty() && leaf_set.contacts().next().is_none() {
        return k;
    }
    let lost_with = |last: &Lost| {
        // When the last of them was lost, whoever was lost before had been replaced.
        let earliest = last.since.saturating_sub(MADE_UP);
        let there = lost.iter().filter(|one| one.since >= earliest);
        let came_later = |guid| {
            let mut later = newcomers.iter().filter(|new| new.since > last.since);
            later.any(|new| new.guid == guid)
        };
        let mut nodes: Vec<(Guid, Option<Duration>)> = leaf_set
            .contacts()
            .filter(|leaf| !came_later(leaf.guid))
            .chain([me])
            .map(|contact| (contact.guid, None))
            .chain(there.map(|one| (one.guid, Some(one.since))))
            .collect();
        nodes.sort_by(|a, b| key.cmp_distance(a.0, b.0));
        let closest = nodes.into_iter().take(k);
        closest
            .filter(|(_, since)| since.is_some_and(|since| since <= last.since))
            .count()
    };
    lost.iter().map(lost_with).max().unwrap_or(0)
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

    fn lost(lost: &[(u128, u64)]) -> Vec<Lost> {
        let lost = lost.iter().map(|(guid, since)| Lost {
            guid: Guid::new(*guid),
            since: Duration::from_secs(*since),
        });
        lost.collect()
    }

    #[test]
    fn nodes_are_lost_together_until_others_have_made_up_for_them() {
        let me = contact(100);
        let leaf_set = LeafSet {
            smaller: vec![contact(90), contact(80)],
            larger: vec![contact(130), contact(140)],
        };
        let together = |gone: &[(u128, u64)], key| {
            lost_together(&me, &leaf_set, &lost(gone), &[], Guid::new(key), 3)
        };
        assert_eq!(together(&[], 112), 0);
        // 110 and 120 were the closest beside this node.
        assert_eq!(together(&[(110, 500)], 112), 1);
        assert_eq!(together(&[(110, 500), (120, 530)], 112), 2);
        assert_eq!(together(&[(110, 500), (120, 530)], 96), 1);
        // The copies of the first had been made up for, and those of the second since.
        assert_eq!(together(&[(110, 500), (120, 561)], 112), 1);
        // Those of 110 and 120 had, but 113 and 114 took their places and are lost too.
        let all = [(110, 100), (120, 100), (113, 500), (114, 501)];
        assert_eq!(together(&all, 112), 2);
        assert_eq!(together(&[(500, 500), (501, 500), (502, 500)], 112), 0);
    }

    #[test]
    fn who_came_after_the_loss_does_not_stand_in_for_the_lost() {
        let me = contact(100);
        let leaf_set = LeafSet {
            smaller: vec![contact(90)],
            larger: vec![contact(111), contact(112), contact(130)],
        };
        let together = |came: u64| {
            let newcomers = [111, 112].map(|guid| Newcomer {
                guid: Guid::new(guid),
                since: Duration::from_secs(came),
            });
            let gone = lost(&[(110, 500), (120, 530)]);
            lost_together(&me, &leaf_set, &gone, &newcomers, Guid::new(112), 3)
        };
        // They were given copies before the others died, and after that they were not.
        assert_eq!(together(400), 1);
        assert_eq!(together(531), 2);
    }

    #[test]
    fn to_a_node_alone_all_that_it_knows_of_are_lost() {
        let alone = LeafSet::default();
        let lost_of = |gone: &[(u128, u64)]| {
            lost_together(&contact(100), &alone, &lost(gone), &[], Guid::new(5), 3)
        };
        assert_eq!(lost_of(&[]), 0);
        assert_eq!(lost_of(&[(77, 0)]), 3);
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
