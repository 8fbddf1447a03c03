//! Finding company, and being alone (P6).

use crate::hops::Hop;
use crate::timers::Timer;
use crate::{Addrs, Contact, MessageId, Overlay, Peer, State, Time};

/// Rounds a node gives those with a smaller identifier to found the network.
const MAX_LONELY_ROUNDS: u32 = 8;

/// Rounds for a node that has met an active one: some twenty seconds.
const MAX_ROUNDS_AFTER_COMPANY: u32 = 100;

/// Times a node found is asked who stands in this one's place, after the first.
const MEETING_TRIES: u32 = 3;

/// The question by which a node looks for its place in another network (P32).
#[derive(Clone, Debug)]
pub(crate) struct Meeting<P> {
    id: MessageId,
    asked: Time,
    /// Another node found meanwhile, perhaps of a third network.
    next: Option<Contact<P>>,
}

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
            if self.state == State::Active
                && let Some(peer) = self.peers.get_mut(&contact.peer)
            {
                peer.found = true;
            }
        }
    }

    /// A node that discovery named has answered. It may be of a network that grew apart
    /// from this one, and neither need have a place for the other: so this node asks, by
    /// the found one, who stands where it would stand there, as a joiner does. If those
    /// are strangers that belong into its leaf set, the two networks grow together from
    /// here on, because everyone who is probed sees who the others stand beside (P32).
    pub(crate) fn look_for_place(&mut self, now: Time, peer: P) {
        let Some(found) = self.peers.get_mut(&peer).filter(|peer| peer.found) else {
            return;
        };
        found.found = false;
        let contact = found.contact.clone();
        let longest = self.config.request_timeout;
        let under_way = self.meeting.as_mut();
        let under_way = under_way.filter(|meeting| now.since(meeting.asked) < longest);
        if let Some(meeting) = under_way {
            // One network at a time.
            meeting.next = Some(contact);
        } else if self.state == State::Active {
            self.ask_place(now, contact);
        }
    }

    fn ask_place(&mut self, now: Time, by: Contact<P>) {
        let routed = self.join_message();
        let next = self.meeting.take().and_then(|meeting| meeting.next);
        self.meeting = Some(Box::new(Meeting {
            id: routed.id,
            asked: now,
            next,
        }));
        self.transmit(now, routed, by, None, Vec::new(), 0);
    }

    /// The node found was silent: it is asked again, a few times.
    pub(crate) fn meet_again(&mut self, now: Time, hop: Hop<P>) {
        let known = self.meeting.as_ref();
        let wanted = known.is_some_and(|meeting| meeting.id == hop.routed.id);
        match hop.next {
            Some(by) if wanted && hop.tries < MEETING_TRIES && !self.is_failed(now, by.guid) => {
                self.transmit(now, hop.routed, by, None, Vec::new(), hop.tries + 1);
            }
            _ => self.stats.dropped += 1,
        }
    }

    /// The next meeting may begin, if the last is long enough ago.
    pub(crate) fn begin_next_meeting(&mut self, now: Time) {
        let Some(meeting) = &self.meeting else {
            return;
        };
        if now.since(meeting.asked) >= self.config.request_timeout {
            let next = self.meeting.take().and_then(|meeting| meeting.next);
            if let Some(by) = next {
                self.ask_place(now, by);
            }
        }
    }

    /// Whoever stands there is asked, if this node has a place for him.
    pub(crate) fn handle_place_found(
        &mut self,
        now: Time,
        id: MessageId,
        from: Contact<P>,
        leafs: Vec<Contact<P>>,
    ) {
        if self.meeting.as_ref().is_none_or(|meeting| meeting.id != id) {
            return;
        }
        self.forget_hop(id);
        let leafs: Vec<_> = leafs.into_iter().chain([from]).collect();
        self.ask_leafs(now, &leafs);
    }

    /// Nobody active has answered so far. Of nodes that all started just now, the one
    /// with the smallest identifier founds the network and the others join it, so that
    /// they need not merge networks of one node each.
    pub(crate) fn handle_lonely(&mut self, now: Time) {
        if self.state != State::Joining || self.joining.asked.is_some() {
            return;
        }
        self.joining.lonely_rounds += 1;
        let mut seeds = self
            .joining
            .seeds
            .keys()
            .filter_map(|peer| self.peers.get(peer));
        let yields = seeds
            .clone()
            .filter(|peer| peer.rtt.smoothed().is_some())
            .any(|peer| peer.contact.guid < self.me.guid);
        // Who was named may only take its time: a connection has to be made first.
        let waits = seeds.any(|peer| peer.probing().is_some());
        // Who has seen a network does not found another because its seed died: discovery
        // will name more.
        let rounds = match self.joining.met_active {
            true => MAX_ROUNDS_AFTER_COMPANY,
            false => MAX_LONELY_ROUNDS,
        };
        if (yields || waits || self.joining.met_active) && self.joining.lonely_rounds < rounds {
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
