//! The nearest of the k nodes closest to a key (P33; Pastry, section 2.5, "locating the
//! nearest among k nodes").
//!
//! Prefix routing jumps over near replicas: its last hops go to whoever shares the most
//! digits. As in the paper the density of the leaf set tells which of the known nodes may be
//! among the k closest, and the nearest of them is next. *Departures:* the estimate is wide,
//! because a wrong guess costs one hop and a missed node the chance to choose it; the message
//! goes on by Pastry's rule while that is much nearer than any of them; and it carries the
//! distances of those it was chosen from, so that after a wrong guess the choice is made as
//! seen from where it turned, not from where the guess has led.

use guid::Guid;

use crate::handle::route::Next;
use crate::message::Body;
use crate::rtt::micros;
use crate::{AnyOf, Contact, Overlay, Peer, Routed};

/// A node may be among the k closest if it is no farther from the key than this many times
/// the distance that the density of the leaf set makes likely.
const REACH: u128 = 3;

impl<P: Peer> Overlay<P> {
    /// Where a message goes from here, by whichever rule it follows.
    pub(crate) fn choose(&self, routed: &Routed<P>, excluded: &[P]) -> Next<'_, P> {
        match &routed.body {
            Body::App {
                any_of: Some(any_of),
                ..
            } => self.choose_any(routed.key, any_of, excluded),
            Body::Join { .. } => self.choose_next(routed.key, excluded, Some(routed.key)),
            _ => self.choose_next(routed.key, excluded, None),
        }
    }

    /// Where a message goes that any of several nodes may take. Until it turns it follows
    /// Pastry's rule, then each hop is numerically closer to the key: no loops either way.
    pub(crate) fn choose_any(&self, key: Guid, any_of: &AnyOf, excluded: &[P]) -> Next<'_, P> {
        let k = usize::from(any_of.k);
        if self.leafs.has_me_among(key, k) {
            return Next::Here;
        }
        let closer = self.known_closer(key);
        let usable = |contact: &&Contact<P>| !excluded.contains(&contact.peer);
        let nearest = self
            .likely(key, k, &closer)
            .into_iter()
            .filter(usable)
            .min_by_key(|contact| (self.far(any_of, contact), contact.guid));
        if let Some(next) = nearest {
            return match self.on_the_way(key, any_of, excluded, next) {
                Some(first) => Next::Hop(first),
                None => Next::Hop(next),
            };
        }
        if !any_of.has_turned() {
            return self.choose_next(key, excluded, None);
        }
        match closer.iter().copied().find(usable) {
            Some(next) => Next::Hop(next),
            // As in Pastry's rule: the silent ones again, until it is known who is dead.
            None if !excluded.is_empty() => self.choose_any(key, any_of, &[]),
            None if self.choose_next(key, &[], None) == Next::Here => Next::Here,
            None => Next::Nowhere,
        }
    }

    /// Before it turns to `next`, the message goes on by Pastry's rule to a node less than
    /// half as far away: more of the k closest are known there, and it has hardly moved.
    fn on_the_way(
        &self,
        key: Guid,
        any_of: &AnyOf,
        excluded: &[P],
        next: &Contact<P>,
    ) -> Option<&Contact<P>> {
        if any_of.has_turned() || self.leafs.covers(key) {
            return None;
        }
        let Next::Hop(first) = self.choose_next(key, excluded, None) else {
            return None;
        };
        (self.far(any_of, first) < self.far(any_of, next) / 2).then_some(first)
    }

    /// Where a message for any of several nodes goes, and what it carries then; `None` when
    /// it ends here, or has to wait here until the leaf set is mended.
    pub fn next_hop_to_any(&self, key: Guid, any_of: &mut AnyOf) -> Option<&Contact<P>> {
        match self.choose_any(key, any_of, &[]) {
            Next::Hop(next) => {
                self.note_sightings(key, any_of, next);
                Some(next)
            }
            Next::Here | Next::Nowhere => None,
        }
    }

    /// What the message carries on to `next`: if that is a turn, or comes after it, the
    /// distances of all who may be among the k closest.
    pub(crate) fn note_sightings(&self, key: Guid, any_of: &mut AnyOf, next: &Contact<P>) {
        let closer = self.known_closer(key);
        let likely = self.likely(key, usize::from(any_of.k), &closer);
        let turns = likely.iter().any(|contact| contact.guid == next.guid);
        if !turns && !any_of.has_turned() {
            return;
        }
        // The next one first: it must not miss its own where the list is full.
        let told: Vec<(Guid, u32)> = std::iter::once(next)
            .chain(likely)
            .map(|contact| (contact.guid, self.far(any_of, contact)))
            .collect();
        for (guid, micros) in told {
            any_of.add(guid, micros);
        }
    }

    /// Everyone known who is numerically closer to the key than this node, closest first.
    fn known_closer(&self, key: Guid) -> Vec<&Contact<P>> {
        let leafs = self.leafs.smaller().iter().chain(self.leafs.larger());
        let table = self.table.entries().map(|(_, _, entry)| &entry.contact);
        let near = self.near.entries().iter().map(|entry| &entry.contact);
        let mut closer: Vec<&Contact<P>> = leafs
            .chain(table)
            .chain(near)
            .filter(|contact| key.cmp_distance(contact.guid, self.me.guid).is_lt())
            .collect();
        closer.sort_unstable_by(|a, b| key.cmp_distance(a.guid, b.guid));
        closer.dedup_by_key(|contact| contact.guid);
        closer
    }

    /// Of those known closer, who may be among the `k` closest there are: none behind k
    /// others, and none farther from the key than is likely.
    fn likely<'a>(&self, key: Guid, k: usize, closer: &[&'a Contact<P>]) -> Vec<&'a Contact<P>> {
        // The k closest lie on both sides of the key.
        let likely = (self.leafs.spacing() / 2).saturating_mul(k as u128);
        let reach = likely.saturating_mul(REACH);
        let within = |contact: &&&Contact<P>| key.distance(contact.guid) <= reach;
        let first = closer.iter().take(k);
        first.take_while(within).copied().collect()
    }

    /// How far away a node is as the message sees it; one never measured is at the end of
    /// the world.
    fn far(&self, any_of: &AnyOf, contact: &Contact<P>) -> u32 {
        let own = self.rtt(contact.peer).map_or(u32::MAX, micros);
        any_of.distance(self.me.guid, contact.guid, own)
    }
}
