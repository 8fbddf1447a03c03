//! The leaf set: the nodes numerically next to this one (P2; Pastry, section 2.1).

use guid::{Guid, Span};

use crate::{Contact, Peer};

/// The |L|/2 nearest nodes on each side of the ring.
///
/// While the network has fewer nodes than fit, both sides name all of them, a node may
/// stand on both, and the leaf set knows the whole ring.
#[derive(Clone, Debug)]
pub(crate) struct LeafSet<P> {
    me: Guid,
    half: usize,
    /// Counter-clockwise, nearest first.
    smaller: Vec<Contact<P>>,
    /// Clockwise, nearest first.
    larger: Vec<Contact<P>>,
    /// While a member was lost and whoever follows it has not been found: how far down and
    /// up from this node everybody is known. The dead do not shorten that.
    gap: Option<(u128, u128)>,
}

impl<P: Peer> LeafSet<P> {
    pub(crate) fn new(me: Guid, size: usize) -> Self {
        LeafSet {
            me,
            half: size / 2,
            smaller: Vec::new(),
            larger: Vec::new(),
            gap: None,
        }
    }

    pub(crate) fn smaller(&self) -> &[Contact<P>] {
        &self.smaller
    }

    pub(crate) fn larger(&self) -> &[Contact<P>] {
        &self.larger
    }

    /// Every member once, in the order of their identifiers.
    pub(crate) fn members(&self) -> Vec<Contact<P>> {
        let mut all: Vec<_> = self.smaller.iter().chain(&self.larger).cloned().collect();
        all.sort_by_key(|contact| contact.guid);
        all.dedup_by_key(|contact| contact.guid);
        all
    }

    pub(crate) fn contains(&self, guid: Guid) -> bool {
        self.smaller
            .iter()
            .chain(&self.larger)
            .any(|contact| contact.guid == guid)
    }

    /// Whether `guid` would find a place.
    pub(crate) fn wants(&self, guid: Guid) -> bool {
        guid != self.me
            && !self.contains(guid)
            && (fits(&self.smaller, self.half, guid.clockwise_to(self.me), |g| {
                g.clockwise_to(self.me)
            }) || fits(&self.larger, self.half, self.me.clockwise_to(guid), |g| {
                self.me.clockwise_to(g)
            }))
    }

    /// Of `named`, those who would have a place if all of them and all of `others` were in.
    pub(crate) fn best_with(&self, others: &[Guid], named: Vec<Contact<P>>) -> Vec<Contact<P>> {
        let members = self.smaller.iter().chain(&self.larger);
        let mut all: Vec<Guid> = members
            .chain(&named)
            .map(|contact| contact.guid)
            .chain(others.iter().copied())
            .collect();
        all.sort_unstable_by_key(|guid| self.me.clockwise_to(*guid));
        all.dedup();
        let side = self.half.min(all.len());
        let (up, down) = (all[..side].to_vec(), &all[all.len() - side..]);
        named
            .into_iter()
            .filter(|one| up.contains(&one.guid) || down.contains(&one.guid))
            .collect()
    }

    /// Takes a node in, or renews its addresses. Says whether it is new.
    pub(crate) fn insert(&mut self, contact: &Contact<P>) -> bool {
        if contact.guid == self.me {
            return false;
        }
        let known = self.contains(contact.guid);
        let me = self.me;
        place(&mut self.smaller, self.half, contact, |g| {
            g.clockwise_to(me)
        });
        place(&mut self.larger, self.half, contact, |g| me.clockwise_to(g));
        !known && self.contains(contact.guid)
    }

    /// Members that another active node does not name though they stand among those it
    /// names: one of the two is mistaken.
    pub(crate) fn unnamed_by(&self, other: Guid, named: &[Contact<P>]) -> Vec<Contact<P>> {
        let ways = |guid: Guid| (guid.clockwise_to(other), other.clockwise_to(guid));
        let mut below: Vec<u128> = named.iter().map(|one| ways(one.guid).0).collect();
        let mut above: Vec<u128> = named.iter().map(|one| ways(one.guid).1).collect();
        below.sort_unstable();
        above.sort_unstable();
        // Where one is missing, nobody can tell on which side.
        if named.len() != 2 * self.half {
            return Vec::new();
        }
        let (down, up) = (below[self.half - 1], above[self.half - 1]);
        let members = self.smaller.iter().chain(&self.larger);
        let mut unnamed: Vec<Contact<P>> = members
            .filter(|leaf| leaf.guid != other)
            .filter(|leaf| {
                let (to, from) = ways(leaf.guid);
                to < down || from < up
            })
            .filter(|leaf| named.iter().all(|one| one.guid != leaf.guid))
            .cloned()
            .collect();
        unnamed.sort_by_key(|leaf| leaf.guid);
        unnamed.dedup_by_key(|leaf| leaf.guid);
        unnamed
    }

    /// On which sides a node stands, smaller and larger.
    pub(crate) fn sides_of(&self, guid: Guid) -> (bool, bool) {
        let on = |side: &[Contact<P>]| side.iter().any(|one| one.guid == guid);
        (on(&self.smaller), on(&self.larger))
    }

    /// Takes a node out. Says whether it was in.
    pub(crate) fn remove(&mut self, guid: Guid) -> bool {
        if !self.contains(guid) {
            return false;
        }
        if !self.knows_whole_ring() {
            self.gap = Some(self.reach());
        }
        self.smaller.retain(|contact| contact.guid != guid);
        self.larger.retain(|contact| contact.guid != guid);
        // Where few nodes are left, one side's farthest is the other side's next.
        for contact in self.members() {
            self.insert(&contact);
        }
        true
    }

    /// Everybody who could fill the gaps has been asked.
    pub(crate) fn settle(&mut self) {
        self.gap = None;
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.gap.is_none()
    }

    /// Whether the leaf set names every node of the network: a side has room left, or
    /// the sides meet behind the ring's far end. While a gap is being mended neither
    /// says anything (P2).
    pub(crate) fn knows_whole_ring(&self) -> bool {
        self.is_settled()
            && (self.smaller.len() < self.half
                || self.larger.len() < self.half
                || self
                    .smaller
                    .iter()
                    .any(|one| self.larger.iter().any(|other| one.guid == other.guid)))
    }

    /// How far down and up from this node nobody is unknown, where that is not the whole
    /// ring. With a gap a side may end with nodes from behind the far end.
    fn reach(&self) -> (u128, u128) {
        let (down, up) = self.gap.unwrap_or((u128::MAX, u128::MAX));
        let last = self.smaller.last();
        let below = last.map_or(down, |last| last.guid.clockwise_to(self.me));
        let last = self.larger.last();
        let above = last.map_or(up, |last| self.me.clockwise_to(last.guid));
        (down.min(below), up.min(above))
    }

    /// The farthest members up to which nobody is unknown, smaller and larger: they know
    /// who follows. With a gap a side ends with nodes from behind the far end, who do not.
    pub(crate) fn ends(&self) -> (Option<&Contact<P>>, Option<&Contact<P>>) {
        let (down, up) = self.reach();
        let below = |one: &&Contact<P>| one.guid.clockwise_to(self.me) <= down;
        let above = |one: &&Contact<P>| self.me.clockwise_to(one.guid) <= up;
        (
            self.smaller.iter().rfind(below),
            self.larger.iter().rfind(above),
        )
    }

    /// The arc on which nobody is unknown, where that is not the whole ring.
    pub(crate) fn arc(&self) -> Span {
        let (down, up) = self.reach();
        let me = self.me.as_u128();
        Span::new(
            Guid::new(me.wrapping_sub(down)),
            Guid::new(me.wrapping_add(up)),
        )
    }

    /// How far from `key` nobody is unknown; `None` where the next identifier may be
    /// somebody's.
    fn horizon(&self, key: Guid) -> Option<u128> {
        if self.knows_whole_ring() {
            return Some(u128::MAX);
        }
        let arc = self.arc();
        arc.contains(key)
            .then(|| arc.from.clockwise_to(key).min(key.clockwise_to(arc.to)))
    }

    /// Whether the leaf set decides who is closest to `key` (P5, first case).
    pub(crate) fn covers(&self, key: Guid) -> bool {
        let Some(horizon) = self.horizon(key) else {
            return false;
        };
        // Where the ends are alive, they are closer than whoever is behind them.
        self.is_settled()
            || key.distance(self.me) <= horizon
            || self
                .smaller
                .iter()
                .chain(&self.larger)
                .any(|leaf| key.distance(leaf.guid) <= horizon)
    }

    /// Whether this node is surely one of the `k` closest to `key` (P33): whoever is unknown
    /// is farther away, and of those known fewer than `k` are closer.
    pub(crate) fn has_me_among(&self, key: Guid, k: usize) -> bool {
        let mine = key.distance(self.me);
        self.horizon(key).is_some_and(|horizon| mine <= horizon)
            && self
                .members()
                .iter()
                .filter(|leaf| key.cmp_distance(leaf.guid, self.me).is_lt())
                .count()
                < k
    }

    /// How far apart nodes stand hereabouts, on average.
    pub(crate) fn spacing(&self) -> u128 {
        if self.knows_whole_ring() {
            return u128::MAX / (self.members().len() as u128 + 1);
        }
        let (down, up) = self.reach();
        let steps = self.smaller.len() + self.larger.len();
        down.saturating_add(up) / (steps as u128).max(1)
    }

    /// The members that may be closest to `key`, `me` among them, closest first.
    pub(crate) fn closest(&self, key: Guid, me: &Contact<P>) -> Vec<Contact<P>> {
        let mut all = self.members();
        all.push(me.clone());
        all.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
        all
    }

    /// The `k` nodes closest to `key`, if the leaf set is sure of them (P14): whoever is
    /// unknown lies beyond an end, and each of them is as close as the nearer end.
    pub(crate) fn replica_set(
        &self,
        key: Guid,
        k: usize,
        me: &Contact<P>,
    ) -> Option<Vec<Contact<P>>> {
        let mut closest = self.closest(key, me);
        closest.truncate(k);
        if self.knows_whole_ring() {
            return Some(closest);
        }
        let horizon = self.horizon(key)?;
        let all_known =
            closest.len() == k && closest.iter().all(|one| key.distance(one.guid) <= horizon);
        all_known.then_some(closest)
    }

    pub(crate) fn check_invariants(&self) {
        let me = self.me;
        for (side, steps) in [
            (
                &self.smaller,
                Box::new(move |g: Guid| g.clockwise_to(me)) as Box<dyn Fn(Guid) -> u128>,
            ),
            (&self.larger, Box::new(move |g: Guid| me.clockwise_to(g))),
        ] {
            assert!(
                side.len() <= self.half,
                "a side of the leaf set is over its size"
            );
            assert!(
                side.iter().all(|contact| contact.guid != me),
                "a node is no leaf of its own"
            );
            assert!(
                side.windows(2)
                    .all(|pair| steps(pair[0].guid) < steps(pair[1].guid)),
                "a side of the leaf set is out of order"
            );
        }
    }
}

fn fits<P>(side: &[Contact<P>], half: usize, steps: u128, of: impl Fn(Guid) -> u128) -> bool {
    side.len() < half || side.last().is_some_and(|last| steps < of(last.guid))
}

fn place<P: Peer>(
    side: &mut Vec<Contact<P>>,
    half: usize,
    contact: &Contact<P>,
    steps: impl Fn(Guid) -> u128,
) {
    match side.binary_search_by_key(&steps(contact.guid), |known| steps(known.guid)) {
        Ok(at) => side[at] = contact.clone(),
        Err(at) if at < half => {
            side.insert(at, contact.clone());
            side.truncate(half);
        }
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contact(guid: u128) -> Contact<u128> {
        Contact {
            guid: Guid::new(guid),
            peer: guid,
            addrs: crate::Addrs::default(),
        }
    }

    /// Identifiers near each other, around zero, and anywhere.
    fn identifier() -> impl Strategy<Value = u128> {
        prop_oneof![0u128..50, (u128::MAX - 50)..=u128::MAX, any::<u128>()]
    }

    fn guids(side: &[Contact<u128>]) -> Vec<u128> {
        side.iter().map(|one| one.guid.as_u128()).collect()
    }

    proptest! {
        #[test]
        fn the_sides_are_the_nearest_of_all_that_were_met(
            me in identifier(),
            met in prop::collection::vec(identifier(), 0..60),
        ) {
            let mut set = LeafSet::new(Guid::new(me), 8);
            for guid in &met {
                let wanted = set.wants(Guid::new(*guid));
                prop_assert_eq!(set.insert(&contact(*guid)), wanted);
                set.check_invariants();
            }
            let mut others: Vec<u128> = met.into_iter().filter(|guid| *guid != me).collect();
            others.sort_unstable();
            others.dedup();
            let count = others.len();
            others.sort_by_key(|guid| guid.wrapping_sub(me));
            prop_assert_eq!(guids(set.larger()), &others[..count.min(4)]);
            others.reverse();
            prop_assert_eq!(guids(set.smaller()), &others[..count.min(4)]);
            prop_assert_eq!(set.knows_whole_ring(), count < 8);
        }

        #[test]
        fn what_it_says_is_true_of_everyone_alive(
            me in identifier(),
            met in prop::collection::btree_set(identifier(), 0..40),
            dead in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            key in identifier(),
            k in 1usize..4,
        ) {
            let mine = contact(me);
            let mut set = LeafSet::new(mine.guid, 8);
            let mut alive: Vec<Contact<u128>> = met.iter().map(|guid| contact(*guid)).collect();
            for one in &alive {
                set.insert(one);
            }
            for index in dead {
                let members = set.members();
                if let Some(member) = (!members.is_empty()).then(|| index.get(&members)) {
                    set.remove(member.guid);
                    alive.retain(|one| one.guid != member.guid);
                    set.check_invariants();
                }
            }
            alive.retain(|one| one.guid != mine.guid);
            alive.push(mine.clone());
            let key = Guid::new(key);
            alive.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
            alive.truncate(k);
            // Gaps that are not mended make it say less, never anything false.
            if let Some(named) = set.replica_set(key, k, &mine) {
                prop_assert_eq!(named, alive.clone());
            }
            if set.has_me_among(key, k) {
                prop_assert!(alive.contains(&mine));
            }
            // Whoever is the root knows it, gaps apart.
            if set.is_settled() && alive[0] == mine {
                prop_assert!(set.has_me_among(key, k));
            }
            if set.covers(key) {
                prop_assert_eq!(&set.closest(key, &mine)[0], &alive[0]);
            }
        }
    }
}
