//! Randomised routing: another way than the one on which a message was swallowed (P34;
//! Pastry, section 2.2).

use guid::Guid;
use rand::Rng;

use crate::{Contact, Overlay, Peer};

/// Of this many choices one is not the best that is left: the better a hop, the likelier.
const SECOND_BEST: u64 = 4;

impl<P: Peer> Overlay<P> {
    /// A hop for which the rule leaves room: it shares at least as long a prefix with the
    /// key as this node does, and is numerically closer. `None` where the leaf set decides,
    /// because then only the root will do, or where nobody is left.
    pub(crate) fn random_next(&mut self, key: Guid, excluded: &[P]) -> Option<Contact<P>> {
        if self.leafs.covers(key) {
            return None;
        }
        let shared = self.me.guid.shared_prefix(key, self.base);
        let mut valid: Vec<(usize, Contact<P>)> = self
            .members()
            .into_iter()
            .map(|contact| (contact.guid.shared_prefix(key, self.base), contact))
            .filter(|(digits, contact)| {
                // Who shares a digit more is the table's choice, though perhaps on the
                // key's other side.
                let closer = key.cmp_distance(contact.guid, self.me.guid).is_lt();
                *digits > shared || (*digits == shared && closer)
            })
            .filter(|(_, contact)| !excluded.contains(&contact.peer))
            .collect();
        valid.sort_by(|(a, one), (b, other)| {
            b.cmp(a)
                .then_with(|| key.cmp_distance(one.guid, other.guid))
        });
        let mut at = 0;
        while at + 1 < valid.len() && self.rng.next_u64().is_multiple_of(SECOND_BEST) {
            at += 1;
        }
        (at < valid.len()).then(|| valid.swap_remove(at).1)
    }

    /// The hop of the rule, or of those that are valid one that was not tried yet.
    pub(crate) fn another_first_hop(
        &mut self,
        key: Guid,
        tried: &mut Vec<P>,
    ) -> Option<Contact<P>> {
        if tried.is_empty()
            && let Some(first) = self.next_hop(key)
        {
            tried.push(first.peer);
        }
        let next = self.random_next(key, tried)?;
        tried.push(next.peer);
        Some(next)
    }
}
