//! A hop's part: keeping pointers, saying where the way goes on, and telling publishers
//! when that changes (L4 to L7).

use std::collections::BTreeMap;
use std::time::Duration;

use guid::Guid;

use crate::handle::route::Next;
use crate::location::message::{Location, MAX_LIFETIME_SECS, MAX_MOVED, Publish, Stored, Way};
use crate::location::pointers::{Onward, Pointers};
use crate::location::state::MAX_GONE;
use crate::timers::Timer;
use crate::{Contact, Message, Overlay, Peer, State, Time};

/// Expired pointers are swept out this often; they are not used in between.
const SWEEP: Duration = Duration::from_secs(30);

/// After a change of the sets the pointers are looked through this soon, so that several
/// changes are one round.
const WATCH_DELAY: Duration = Duration::from_millis(100);

/// Objects looked at in one go, so that a node with many is not held up.
const PAGE: usize = 4096;

/// A publisher that was told of a change and has not come is told again after this.
const TELL_AGAIN: Duration = Duration::from_secs(5);

/// Times a publisher is told of one change.
const MAX_TOLD: u8 = 3;

impl<P: Peer> Overlay<P> {
    /// Its holder asks this node to keep a pointer (L4).
    pub(crate) fn handle_publish(&mut self, now: Time, from: P, publish: Publish<P>) {
        // Nobody but the holder itself can make others believe that it is one.
        if publish.holder.peer != from || publish.holder.guid == self.me.guid {
            return;
        }
        let mut stored = Stored::NotJoined;
        let (mut way, mut also) = (Way::Unknown, Vec::new());
        if self.state == State::Active {
            if let Some(salt) = publish.salt {
                let key = publish.object.salted(salt);
                way = self.way_on(now, key, &publish.except);
                also = self.beside(key, &way, &publish);
            }
            stored = self.keep_pointer(now, &publish, &way);
        }
        let answer = Location::Published {
            nonce: publish.nonce,
            stored,
            way,
            also,
        };
        self.send(now, &publish.holder, Message::Location(answer));
    }

    /// Where a way towards `key` goes on from here, round the hops that were silent.
    fn way_on(&mut self, now: Time, key: Guid, except: &[Guid]) -> Way<P> {
        if let Next::Hop(next) = self.choose_next(key, &[], None)
            && except.contains(&next.guid)
        {
            // That it is silent is hearsay, so this node asks itself, and not on every word.
            let next = next.clone();
            let heard = self.peers.get(&next.peer).map(|peer| peer.heard);
            if heard.is_none_or(|heard| now.since(heard) > self.config.probe_timeout) {
                self.probe(now, &next, true, false);
            }
        }
        let mut excluded = Vec::new();
        if !except.is_empty() {
            let members = self.members().into_iter();
            let silent = members.filter(|member| except.contains(&member.guid));
            excluded.extend(silent.map(|member| member.peer));
        }
        match self.choose_next(key, &excluded, None) {
            Next::Hop(next) => Way::Next(next.clone()),
            Next::Here if self.leafs.is_settled() => Way::Root,
            Next::Here | Next::Nowhere => Way::Unknown,
        }
    }

    fn keep_pointer(&mut self, now: Time, publish: &Publish<P>, way: &Way<P>) -> Stored {
        let Publish { holder, object, .. } = publish;
        let next = match way {
            Way::Root => Some(None),
            Way::Next(next) => Some(Some(next.peer)),
            Way::Unknown => None,
        };
        let onward = publish.salt.zip(next).map(|(salt, next)| Onward {
            salt,
            next,
            told: 0,
        });
        let lifetime = publish.lifetime.clamp(1, MAX_LIFETIME_SECS);
        let expires = now + Duration::from_secs(lifetime.into());
        let settings = &self.config.location;
        let pointers = &mut self.location.pointers;
        if let Err(full) = pointers.insert(settings, holder, *object, expires, onward) {
            self.stats.pointers_refused += 1;
            return Stored::Full(full);
        }
        // Distances are measured where there is a choice (L9).
        for unmeasured in self.location.pointers.unmeasured(*object) {
            self.probe(now, &unmeasured, false, false);
        }
        self.timers.set_sooner(Timer::Sweep, now + SWEEP);
        Stored::Kept
    }

    /// Who else is to have a pointer: other candidates for the next hop, nodes nearby, and
    /// the nodes next to the root (L6; Tapestry, section V-C).
    fn beside(&self, key: Guid, way: &Way<P>, publish: &Publish<P>) -> Vec<Contact<P>> {
        let spread = publish.spread;
        let mut also = match way {
            Way::Root => {
                let mut copies = self.leafs.closest(key, &self.me);
                copies.retain(|leaf| self.is_third(leaf, publish));
                copies.truncate(spread.copies.into());
                copies
            }
            Way::Next(next) => {
                let mut backups = self.backups(key, next);
                backups.retain(|backup| self.is_third(backup, publish));
                backups.truncate(spread.backups.into());
                backups
            }
            Way::Unknown => Vec::new(),
        };
        let near = self.near.entries().iter().map(|entry| &entry.contact);
        let near = near.filter(|near| self.is_third(near, publish));
        let near = near.filter(|near| also.iter().all(|one| one.guid != near.guid));
        let near: Vec<_> = near.take(spread.neighbours.into()).cloned().collect();
        also.extend(near);
        also
    }

    fn is_third(&self, contact: &Contact<P>, publish: &Publish<P>) -> bool {
        contact.guid != self.me.guid && contact.guid != publish.holder.guid
    }

    /// Whoever would do as the hop towards `key` as well as `next` does, nearest first;
    /// those whose distance was never measured come last.
    pub(crate) fn backups(&self, key: Guid, next: &Contact<P>) -> Vec<Contact<P>> {
        let shared = next.guid.shared_prefix(key, self.base);
        let mut backups = self.members();
        backups.retain(|member| {
            member.guid != next.guid && member.guid.shared_prefix(key, self.base) >= shared
        });
        backups.sort_by_cached_key(|member| {
            let rtt = self.rtt(member.peer);
            (rtt.is_none(), rtt, member.guid)
        });
        backups
    }

    /// A holder takes its pointer back.
    pub(crate) fn handle_unpublish(&mut self, now: Time, from: P, nonce: u64, object: Guid) {
        // It is connected, and where it is known its addresses are.
        let back = match self.location.pointers.holder(from) {
            Some(contact) => contact.clone(),
            None => Contact {
                guid: Guid::default(),
                peer: from,
                addrs: crate::Addrs::default(),
            },
        };
        self.location.pointers.remove(from, object);
        self.send(
            now,
            &back,
            Message::Location(Location::Unpublished { nonce }),
        );
    }

    pub(crate) fn handle_sweep_due(&mut self, now: Time) {
        self.location.pointers.expire(now);
        if !self.location.pointers.is_empty() {
            self.timers.set(Timer::Sweep, now + SWEEP);
        }
    }

    /// A node died or left: pointers to it lead nowhere, and ways through it lead elsewhere.
    pub(crate) fn note_gone(&mut self, now: Time, peer: P) {
        self.location.pointers.remove_holder(peer);
        if self.location.gone.len() >= MAX_GONE {
            self.location.gone.pop_first();
        }
        self.location.gone.insert(peer);
        self.note_sets_changed(now);
    }

    /// Somebody entered or left the sets, so that ways may have changed.
    pub(crate) fn note_sets_changed(&mut self, now: Time) {
        if self.location.pointers.is_empty() && self.location.publications.is_empty() {
            self.location.gone.clear();
            return;
        }
        self.location.changed = true;
        // Where a round is under way, another follows it.
        if self.location.cursor == Guid::new(0) {
            self.timers.set_sooner(Timer::Ways, now + WATCH_DELAY);
        }
    }

    /// Looks through the pointers for ways that no longer go where their publisher was
    /// told, and tells it (L7).
    pub(crate) fn handle_ways_due(&mut self, now: Time) {
        let begins = self.location.cursor == Guid::new(0);
        if begins {
            self.location.changed = false;
            self.watch_own_ways(now);
        }
        let mut moved: BTreeMap<P, Vec<(Guid, u8)>> = BTreeMap::new();
        let mut again = false;
        // Put aside, so that the routing state can be read meanwhile.
        let mut pointers = std::mem::replace(&mut self.location.pointers, Pointers::new());
        let (page, next) = pointers.page(self.location.cursor, PAGE);
        for (object, pointer) in page {
            for way in &mut pointer.ways {
                if way.told >= MAX_TOLD || !self.has_changed(object, way) {
                    continue;
                }
                way.told += 1;
                again |= way.told < MAX_TOLD;
                moved
                    .entry(pointer.holder)
                    .or_default()
                    .push((object, way.salt));
            }
        }
        self.location.pointers = pointers;
        for (holder, ways) in moved {
            let Some(contact) = self.location.pointers.holder(holder).cloned() else {
                continue;
            };
            for ways in ways.chunks(MAX_MOVED) {
                let ways = ways.to_vec();
                self.send(now, &contact, Message::Location(Location::Moved { ways }));
            }
        }
        self.location.cursor = next.unwrap_or_default();
        if next.is_some() || self.location.changed {
            self.timers.set(Timer::Ways, now + WATCH_DELAY);
            return;
        }
        self.location.gone.clear();
        if again {
            self.timers.set(Timer::Ways, now + TELL_AGAIN);
        }
    }

    fn has_changed(&self, object: Guid, way: &Onward<P>) -> bool {
        match way.next {
            _ if way.told > 0 => true,
            Some(next) => self.location.gone.contains(&next),
            // It was the root until somebody closer came.
            None => self.choose_next(object.salted(way.salt), &[], None) != Next::Here,
        }
    }
}
