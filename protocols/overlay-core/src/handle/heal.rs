//! A network that was cut in two finds itself again (P27).

use crate::peers::{Lost, MAX_LOST};
use crate::timers::Timer;
use crate::{Contact, Overlay, Peer, Time};

/// How often a lost node is asked before it is given up: over some three hours with the
/// usual period.
const MAX_TRIES: u32 = 16;

/// How often the wait for the next question doubles.
const MAX_DOUBLINGS: u32 = 6;

impl<P: Peer> Overlay<P> {
    /// A neighbour on the ring was found dead, and may only be cut off. Those of the other
    /// sets are not asked again: where a network was cut, each node has lost leafs.
    pub(crate) fn note_lost(&mut self, now: Time, contact: Contact<P>) {
        if !self.leafs.contains(contact.guid) {
            return;
        }
        if self.lost.len() >= MAX_LOST {
            self.lost.pop_first();
        }
        let lost = Lost {
            due: now + self.config.heal_period,
            tries: 0,
            contact,
        };
        self.lost.insert(lost.contact.peer, lost);
    }

    /// Asks whoever is due longest whether it is back: one in a period at most, and each
    /// twice as long after it was asked last.
    pub(crate) fn handle_heal_due(&mut self, now: Time) {
        let period = self.config.heal_period;
        self.timers.set(Timer::Heal, now + period);
        self.begin_next_meeting(now);
        let due = self.lost.values_mut().filter(|lost| lost.due <= now);
        let Some(lost) = due.min_by_key(|lost| lost.due) else {
            return;
        };
        lost.tries += 1;
        lost.due = now + period * 2u32.pow(lost.tries.min(MAX_DOUBLINGS));
        let (contact, tries) = (lost.contact.clone(), lost.tries);
        if tries >= MAX_TRIES {
            self.lost.remove(&contact.peer);
        }
        self.probe_once(now, &contact);
    }
}
