//! A network that was cut in two finds itself again (P27).

use guid::Guid;

use crate::peers::{HowLost, Lost, MAX_LOST};
use crate::timers::Timer;
use crate::{Contact, Overlay, Peer, State, Time};

/// How often a lost node is asked before it is given up: over some three hours with the
/// usual period.
const MAX_TRIES: u32 = 16;

/// How often the wait for the next question doubles.
const MAX_DOUBLINGS: u32 = 6;

/// How often who was only named to a node alone, and was silent, is asked: over an hour with
/// the usual period. It may have been gone for long.
const NAMED_TRIES: u32 = 5;

/// Periods for which such a node counts as lost, five minutes with the usual one: as long as
/// those of a site may take that are all switched on at once.
const NAMED_PERIODS: u32 = 20;

/// After how many periods who has left is asked, once: some three hours with the usual one.
/// Who comes back says so itself.
const LEFT_PERIODS: u32 = 720;

impl<P: Peer> Overlay<P> {
    /// A neighbour on the ring was found dead, and may only be cut off. Those of the other
    /// sets are not asked again: where a network was cut, each node has lost leafs. So has
    /// a node alone that was named others, all of them silent.
    pub(crate) fn note_lost(&mut self, now: Time, contact: Contact<P>, announced: bool) {
        let (how, tries) = if self.leafs.contains(contact.guid) {
            (HowLost::Dead, 0)
        } else if self.leafs.members().is_empty() && self.has_been_named(contact.peer) {
            (HowLost::Named, MAX_TRIES - NAMED_TRIES)
        } else {
            return;
        };
        // Who is asked again all the time is lost since the first time.
        if !self.lost.contains_key(&contact.peer) {
            // Two that had no answer are not doubted so soon.
            let hearsay_from = match announced {
                true => now + self.config.heal_period,
                false => now,
            };
            let due = now + self.config.heal_period;
            self.remember_lost(Lost {
                contact,
                since: now,
                how,
                hearsay_from,
                due,
                tries,
            });
        }
    }

    /// A neighbour on the ring says that it has no place: it has been restarted, and what it
    /// keeps cannot be had until it has joined.
    pub(crate) fn note_restarted(&mut self, now: Time, contact: Contact<P>) {
        if self.leafs.contains(contact.guid) && !self.lost.contains_key(&contact.peer) {
            let due = now + self.config.heal_period;
            self.remember_lost(Lost {
                contact,
                since: now,
                how: HowLost::Restarted,
                hearsay_from: due,
                due,
                tries: 0,
            });
        }
    }

    /// A neighbour on the ring has left. What it keeps for others is gone with it, for as
    /// long as it is away.
    pub(crate) fn note_left(&mut self, now: Time, contact: Contact<P>) {
        if self.leafs.contains(contact.guid) {
            let due = now + self.config.heal_period * LEFT_PERIODS;
            self.remember_lost(Lost {
                contact,
                since: now,
                how: HowLost::Left,
                hearsay_from: due,
                due,
                tries: MAX_TRIES - 1,
            });
        }
    }

    fn remember_lost(&mut self, lost: Lost<P>) {
        if self.lost.len() >= MAX_LOST
            && let Some(first) = self.lost.values().min_by_key(|lost| lost.since)
        {
            let first = first.contact.peer;
            self.lost.remove(&first);
        }
        self.lost.insert(lost.contact.peer, lost);
    }

    /// A neighbour names as its own some that this node has found dead. It may not know yet;
    /// or questions and answers were lost on the way, and they live: they are asked once more.
    pub(crate) fn ask_lost_named(&mut self, now: Time, named: &[Contact<P>]) {
        if self.lost.is_empty() {
            return;
        }
        let wait = self.config.heal_period / 3;
        let mut alive = Vec::new();
        for contact in named {
            if let Some(lost) = self.lost.get_mut(&contact.peer)
                && lost.hearsay_from <= now
            {
                lost.hearsay_from = now + wait;
                alive.push(lost.contact.clone());
            }
        }
        for contact in alive {
            self.probe_once(now, &contact);
        }
    }

    /// Whether discovery has named a node to this one.
    fn has_been_named(&self, peer: P) -> bool {
        self.joining.seeds.contains_key(&peer)
            || self.peers.get(&peer).is_some_and(|peer| peer.found)
    }

    /// Neighbours that were lost and are not back, and since when; and of a node alone
    /// those that it was named lately and that have not answered.
    pub fn lost(&self) -> impl Iterator<Item = (Guid, Time)> + '_ {
        let alone = self.state == State::Active && self.leafs.members().is_empty();
        let asked = self
            .peers
            .asked()
            .filter(move |(peer, _)| alone && !self.lost.contains_key(&peer.contact.peer))
            .map(|(peer, probe)| (peer.contact.guid, probe.sent));
        let lost = self.lost.values();
        let lost = lost.filter(|lost| lost.how != HowLost::Absent);
        lost.map(|lost| (lost.contact.guid, lost.since))
            .chain(asked)
    }

    /// Asks whoever is due longest whether it is back: one in a period at most, and each
    /// twice as long after it was asked last.
    pub(crate) fn handle_heal_due(&mut self, now: Time) {
        let period = self.config.heal_period;
        self.timers.set(Timer::Heal, now + period);
        self.begin_next_meeting(now);
        for lost in self.lost.values_mut() {
            if lost.how == HowLost::Named && now.since(lost.since) >= period * NAMED_PERIODS {
                lost.how = HowLost::Absent;
            }
        }
        let due = self.lost.values_mut();
        let due = due.filter(|lost| lost.due <= now && lost.tries < MAX_TRIES);
        let Some(lost) = due.min_by_key(|lost| lost.due) else {
            return;
        };
        lost.tries += 1;
        lost.due = now + period * 2u32.pow(lost.tries.min(MAX_DOUBLINGS));
        let (contact, tries, how) = (lost.contact.clone(), lost.tries, lost.how);
        // Who is absent is named again and again, and is to stay so.
        if tries >= MAX_TRIES && how != HowLost::Absent {
            self.lost.remove(&contact.peer);
        }
        self.probe_once(now, &contact);
    }
}
