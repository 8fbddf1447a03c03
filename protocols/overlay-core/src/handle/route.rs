//! Passing messages on: the routing rule, acknowledgements, silent hops (P5, P10 to P12;
//! Pastry, section 2.3; MSPastry, "per-hop acks").

use std::time::Duration;

use bytes::Bytes;
use guid::Guid;

use crate::message::{Body, MAX_HOPS, TraceHop};
use crate::timers::Timer;
use crate::{Contact, Message, MessageId, Output, Overlay, Peer, Routed, State, Ticket, Time};

/// Most messages with a hop that has not acknowledged them.
pub(crate) const MAX_IN_FLIGHT: usize = 4096;

/// Times a message is handed to hops before it is given up: several hops each silent
/// once, or one root silent until it is known to be dead.
const MAX_TRIES: u32 = 12;

/// Most messages waiting for an application's decision.
const MAX_WAITING: usize = 256;

/// How long an application may think about a message that passes.
const DECISION_TIME: Duration = Duration::from_secs(2);

/// A message handed to a next hop.
#[derive(Clone, Debug)]
pub(crate) struct Hop<P> {
    pub(crate) routed: Routed<P>,
    pub(crate) next: Contact<P>,
    pub(crate) sent: Time,
    pub(crate) tries: u32,
    /// Hops that were silent or refused.
    pub(crate) excluded: Vec<P>,
}

/// A message an application decides about.
#[derive(Clone, Debug)]
pub(crate) struct Waiting<P> {
    pub(crate) routed: Routed<P>,
    pub(crate) next: Contact<P>,
}

impl<P: Peer> Overlay<P> {
    /// Pastry's rule. `None` means that nobody known is closer than this node.
    pub(crate) fn choose_next(
        &self,
        key: Guid,
        excluded: &[P],
        joiner: Option<Guid>,
    ) -> Option<&Contact<P>> {
        let usable = |contact: &&Contact<P>| {
            Some(contact.guid) != joiner && !excluded.contains(&contact.peer)
        };
        // First case: the leaf set decides. Only the closest will do: handing the message
        // to the second closest would make a node deliver what is not its to deliver.
        if self.leafs.covers(key) {
            let leafs = self.leafs.smaller().iter().chain(self.leafs.larger());
            return leafs
                .filter(|leaf| Some(leaf.guid) != joiner)
                .min_by(|a, b| key.cmp_distance(a.guid, b.guid))
                .filter(|leaf| key.cmp_distance(leaf.guid, self.me.guid).is_lt());
        }
        // Second case: the table has a node that shares one digit more.
        if let Some(next) = self.table.towards(key).filter(usable) {
            return Some(next);
        }
        // Third, rare case: anyone who shares as much and is closer.
        let shared = self.me.guid.shared_prefix(key, self.base);
        let leafs = self.leafs.smaller().iter().chain(self.leafs.larger());
        let table = self.table.entries().map(|(_, _, entry)| &entry.contact);
        let near = self.near.entries().iter().map(|entry| &entry.contact);
        leafs
            .chain(table)
            .chain(near)
            .filter(usable)
            .filter(|contact| contact.guid.shared_prefix(key, self.base) >= shared)
            .filter(|contact| key.cmp_distance(contact.guid, self.me.guid).is_lt())
            .min_by(|a, b| key.cmp_distance(a.guid, b.guid))
    }

    /// A message came from the hop before.
    pub(crate) fn handle_routed(&mut self, now: Time, from: P, mut routed: Routed<P>) {
        let id = routed.id;
        // The hop before is connected, so its name is address enough.
        let back = Contact {
            guid: Guid::default(),
            peer: from,
            addrs: crate::Addrs::default(),
        };
        if self.state != State::Active {
            self.send(now, &back, Message::Refuse { id });
            return;
        }
        self.send(now, &back, Message::Ack { id });
        if !self.seen.note(id) {
            self.stats.duplicates += 1;
            return;
        }
        if routed.hops >= MAX_HOPS {
            self.stats.dropped += 1;
            return;
        }
        routed.hops += 1;
        self.add_join_rows(&mut routed);
        self.forward(now, routed, Vec::new(), 0);
    }

    /// Sends a message one hop on, or delivers it here.
    pub(crate) fn forward(&mut self, now: Time, routed: Routed<P>, excluded: Vec<P>, tries: u32) {
        let joiner = matches!(routed.body, Body::Join { .. }).then_some(routed.key);
        let Some(next) = self.choose_next(routed.key, &excluded, joiner).cloned() else {
            self.deliver(now, routed);
            return;
        };
        if let Body::App { app, payload, .. } = &routed.body
            && self.intercepted.contains(app)
            && self.waiting.len() < MAX_WAITING
        {
            let (app, payload) = (*app, payload.clone());
            let ticket = Ticket(self.next_number());
            let (key, origin) = (routed.key, routed.origin.clone());
            let output = Output::Forward {
                ticket,
                key,
                app,
                payload,
                origin,
                next: next.clone(),
            };
            self.outputs.push_back(output);
            self.timers.set(Timer::Ticket(ticket), now + DECISION_TIME);
            self.waiting.insert(ticket, Waiting { routed, next });
            return;
        }
        self.transmit(now, routed, next, excluded, tries);
    }

    pub(crate) fn handle_resume(&mut self, now: Time, ticket: Ticket, payload: Option<Bytes>) {
        let Some(Waiting { mut routed, next }) = self.waiting.remove(&ticket) else {
            return;
        };
        self.timers.cancel(Timer::Ticket(ticket));
        let Some(changed) = payload else {
            self.give_up(routed.id);
            return;
        };
        if let Body::App { payload, .. } = &mut routed.body {
            *payload = changed;
        }
        self.transmit(now, routed, next, Vec::new(), 0);
    }

    /// An application that does not decide lets the message pass.
    pub(crate) fn handle_ticket_timeout(&mut self, now: Time, ticket: Ticket) {
        if let Some(Waiting { routed, next }) = self.waiting.remove(&ticket) {
            self.transmit(now, routed, next, Vec::new(), 0);
        }
    }

    /// Hands a message to `next` and waits for its acknowledgement.
    pub(crate) fn transmit(
        &mut self,
        now: Time,
        routed: Routed<P>,
        next: Contact<P>,
        excluded: Vec<P>,
        tries: u32,
    ) {
        if tries >= MAX_TRIES || self.hops.len() >= MAX_IN_FLIGHT {
            self.give_up(routed.id);
            return;
        }
        if tries == 0 {
            self.stats.forwarded += 1;
        } else {
            self.stats.retried += 1;
        }
        let mut sent = routed.clone();
        if let Some(trace) = &mut sent.trace {
            let rtt = self
                .peers
                .get(&next.peer)
                .and_then(|peer| peer.rtt.smoothed());
            let rtt_micros = rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX));
            trace.push(TraceHop {
                contact: next.clone(),
                rtt_micros,
            });
        }
        let wait = self.hop_timeout(next.peer) * 2u32.pow(tries.min(6));
        self.timers
            .set(Timer::Hop(routed.id), now + wait.min(self.config.max_rto));
        self.send(now, &next, Message::Route(sent));
        self.hops.insert(
            routed.id,
            Hop {
                routed,
                next,
                sent: now,
                tries,
                excluded,
            },
        );
    }

    pub(crate) fn handle_ack(&mut self, now: Time, from: P, id: MessageId) {
        let Some(hop) = self.hops.get(&id).filter(|hop| hop.next.peer == from) else {
            return;
        };
        // Karn: an acknowledgement of a repeated message does not say of which sending.
        if hop.tries == 0
            && let Some(peer) = self.peers.get_mut(&from)
        {
            peer.rtt.measured(now.since(hop.sent));
        }
        self.forget_hop(id);
        self.note_accepted(id);
    }

    /// The next hop has not joined: it was known from before a restart.
    pub(crate) fn handle_refuse(&mut self, now: Time, from: P, id: MessageId) {
        if self.hops.get(&id).is_none_or(|hop| hop.next.peer != from) {
            return;
        }
        let Some(hop) = self.hops.remove(&id) else {
            return;
        };
        self.timers.cancel(Timer::Hop(id));
        // It will be taken in again when it has joined and says so.
        self.remove_peer(now, from, true);
        if let Some(guid) = Some(hop.next.guid) {
            self.failed.remove(&guid);
        }
        self.try_another(now, hop, from);
    }

    pub(crate) fn handle_hop_timeout(&mut self, now: Time, id: MessageId) {
        let Some(hop) = self.hops.remove(&id) else {
            return;
        };
        let silent = hop.next.clone();
        // A missed acknowledgement is no death, but reason to ask.
        if self.is_member(silent.guid) {
            self.probe(now, &silent, true, false);
        }
        self.try_another(now, hop, silent.peer);
    }

    /// Routes round a hop; where the hop is the root itself, asks it again until it is
    /// known to be dead (P12).
    fn try_another(&mut self, now: Time, mut hop: Hop<P>, silent: P) {
        let is_join =
            matches!(hop.routed.body, Body::Join { .. }) && hop.routed.origin.guid == self.me.guid;
        if is_join {
            // A joiner has no other way in than its seed.
            self.timers.set(Timer::Join, now);
            return;
        }
        if !hop.excluded.contains(&silent) {
            hop.excluded.push(silent);
        }
        self.forward(now, hop.routed, hop.excluded, hop.tries + 1);
    }

    /// A node died: what waits for it goes another way at once.
    pub(crate) fn reroute_around(&mut self, now: Time, dead: P) {
        let waiting: Vec<MessageId> = self
            .hops
            .iter()
            .filter(|(_, hop)| hop.next.peer == dead)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.timers.cancel(Timer::Hop(id));
            if let Some(hop) = self.hops.remove(&id) {
                self.try_another(now, hop, dead);
            }
        }
    }

    /// A connection broke: what waits for it need not wait its whole time.
    pub(crate) fn hurry_hops(&mut self, now: Time, peer: P) {
        let soon = now + self.config.min_rto;
        let waiting: Vec<MessageId> = self
            .hops
            .iter()
            .filter(|(_, hop)| hop.next.peer == peer)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.timers.set(Timer::Hop(id), soon);
        }
    }

    pub(crate) fn forget_hop(&mut self, id: MessageId) {
        self.hops.remove(&id);
        self.timers.cancel(Timer::Hop(id));
    }

    fn give_up(&mut self, id: MessageId) {
        self.stats.dropped += 1;
        self.note_dropped(id);
    }
}
