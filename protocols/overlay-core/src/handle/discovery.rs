//! Finding company, and being alone (P6).

use crate::timers::Timer;
use crate::{Addrs, Contact, Overlay, Peer, State, Time};

/// Rounds a node gives those with a smaller identifier to found the network.
const MAX_LONELY_ROUNDS: u32 = 8;

impl<P: Peer> Overlay<P> {
    pub(crate) fn handle_peer_found(&mut self, now: Time, contact: Contact<P>) {
        if contact.guid == self.me.guid || self.state == State::Left {
            return;
        }
        if self.state == State::Joining {
            self.joining.note_seed(contact.peer, false);
        }
        if self.state == State::Joining || !self.is_member(contact.guid) {
            self.probe(now, &contact, true, false);
        }
    }

    /// Nobody active has answered so far. Of nodes that all started just now, the one
    /// with the smallest identifier founds the network and the others join it, so that
    /// they need not merge networks of one node each.
    pub(crate) fn handle_lonely(&mut self, now: Time) {
        if self.state != State::Joining || self.joining.asked.is_some() {
            return;
        }
        self.joining.lonely_rounds += 1;
        let answered = self
            .joining
            .seeds
            .keys()
            .filter_map(|peer| self.peers.get(peer));
        let yields = answered
            .filter(|peer| peer.rtt.smoothed().is_some())
            .any(|peer| peer.contact.guid < self.me.guid);
        if yields && self.joining.lonely_rounds < MAX_LONELY_ROUNDS {
            self.timers
                .set(Timer::Lonely, now + self.config.lonely_wait / 2);
        } else {
            self.activate(now);
        }
    }

    pub(crate) fn handle_addrs_changed(&mut self, now: Time, addrs: Addrs) {
        if self.me.addrs == addrs {
            return;
        }
        self.me.addrs = addrs;
        if self.state == State::Active {
            for leaf in self.leafs.members() {
                self.tell_news(now, &leaf);
            }
        }
    }
}
