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
}

impl<P: Peer> LeafSet<P> {
    pub(crate) fn new(me: Guid, size: usize) -> Self {
        LeafSet {
            me,
            half: size / 2,
            smaller: Vec::new(),
            larger: Vec::new(),
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

    /// Takes a node out. Says whether it was in.
    pub(crate) fn remove(&mut self, guid: Guid) -> bool {
        let known = self.contains(guid);
        self.smaller.retain(|contact| contact.guid != guid);
        self.larger.retain(|contact| contact.guid != guid);
        known
    }

    /// Whether the leaf set names every node of the network: a side has room left, or
    /// the sides meet behind the ring's far end.
    pub(crate) fn knows_whole_ring(&self) -> bool {
        self.smaller.len() < self.half
            || self.larger.len() < self.half
            || self
                .smaller
                .iter()
                .any(|one| self.larger.iter().any(|other| one.guid == other.guid))
    }

    /// Whether the leaf set decides who is closest to `key` (P5, first case).
    pub(crate) fn covers(&self, key: Guid) -> bool {
        if self.knows_whole_ring() {
            return true;
        }
        match (self.smaller.last(), self.larger.last()) {
            (Some(first), Some(last)) => Span::new(first.guid, last.guid).contains(key),
            _ => true,
        }
    }

    /// The members that may be closest to `key`, `me` among them, closest first.
    pub(crate) fn closest(&self, key: Guid, me: &Contact<P>) -> Vec<Contact<P>> {
        let mut all = self.members();
        all.push(me.clone());
        all.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
        all
    }

    /// The `k` nodes closest to `key`, if the leaf set is sure of them (P14): all of
    /// them lie within it, so that nobody unknown can be closer.
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
        let ends = [self.smaller.last(), self.larger.last()];
        let touches_an_end = closest
            .iter()
            .any(|one| ends.iter().flatten().any(|end| end.guid == one.guid));
        (self.covers(key) && !touches_an_end).then_some(closest)
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
