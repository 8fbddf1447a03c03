//! Passing messages on: the routing rule, acknowledgements, silent hops (P5, P10 to P12;
//! Pastry, section 2.3; MSPastry, "per-hop acks").

use guid::Guid;

use crate::hops::Hop;
use crate::message::{Body, MAX_HOPS, TraceHop};
use crate::timers::Timer;
use crate::{Contact, Message, MessageId, Overlay, Peer, RandomisedRouting, Routed, State, Time};

/// Most messages with a hop that has not acknowledged them.
pub(crate) const MAX_IN_FLIGHT: usize = 4096;

/// Times a message is handed to hops before it is given up: several hops each silent
/// once, or one root silent until it is known to be dead.
const MAX_TRIES: u32 = 12;

/// Messages of one hop that a joiner keeps when half of its room is taken.
const FEW_EARLY: usize = 8;

/// Most messages waiting for an application's decision.
pub(crate) const MAX_WAITING: usize = 256;

/// Where a message goes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next<'a, P> {
    /// Nowhere else: this node is the root.
    Here,
    /// To this node.
    Hop(&'a Contact<P>),
    /// This node is not the root and knows nobody closer: its leaf set has a gap.
    Nowhere,
}

impl<P: Peer> Overlay<P> {
    /// Pastry's rule. Only the leaf set can say that a message ends here: that nobody
    /// closer is known, or is left after the silent ones, is no reason to deliver (P12).
    pub(crate) fn choose_next(
        &self,
        key: Guid,
        excluded: &[P],
        joiner: Option<Guid>,
    ) -> Next<'_, P> {
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
                .filter(|leaf| key.cmp_distance(leaf.guid, self.me.guid).is_lt())
                .map_or(Next::Here, Next::Hop);
        }
        // Second case: the table has a node that shares one digit more, or a neighbour
        // happens to share even more than that.
        let shares = |contact: &Contact<P>| contact.guid.shared_prefix(key, self.base);
        if let Some(next) = self.table.towards(key).filter(usable) {
            let near = self.near.entries().iter().map(|entry| &entry.contact);
            let (mut best, mut most) = (next, shares(next));
            for neighbour in near {
                let shared = shares(neighbour);
                if shared > most && usable(&neighbour) {
                    (best, most) = (neighbour, shared);
                }
            }
            return Next::Hop(best);
        }
        // Third, rare case: anyone who shares as much and is closer.
        let shared = self.me.guid.shared_prefix(key, self.base);
        let leafs = self.leafs.smaller().iter().chain(self.leafs.larger());
        let table = self.table.entries().map(|(_, _, entry)| &entry.contact);
        let near = self.near.entries().iter().map(|entry| &entry.contact);
        let closer = leafs
            .chain(table)
            .chain(near)
            .filter(usable)
            .filter(|contact| shares(contact) >= shared)
            .filter(|contact| key.cmp_distance(contact.guid, self.me.guid).is_lt())
            .min_by(|a, b| key.cmp_distance(a.guid, b.guid));
        match closer {
            Some(next) => Next::Hop(next),
            // Everyone closer was silent: they are asked again, until the probes tell
            // who is dead.
            None if !excluded.is_empty() => self.choose_next(key, &[], joiner),
            None => Next::Nowhere,
        }
    }

    /// A message came from the hop before.
    pub(crate) fn handle_routed(&mut self, now: Time, from: P, routed: Routed<P>) {
        let id = routed.id;
        // The hop before is connected, so its name is address enough.
        let back = Contact {
            guid: Guid::default(),
            peer: from,
            addrs: crate::Addrs::default(),
        };
        if self.state != State::Active {
            self.hold_early(now, &back, routed);
            return;
        }
        if !self.has_room_to_carry(from, routed.key) {
            // Without a word: the hop before keeps it and finds another way.
            self.stats.limited += 1;
            return;
        }
        if self.holds_own(id, from) {
            // Its next hop has it still, or its acknowledgement is under way: until then
            // nobody else can have got it.
            return;
        }
        self.send(now, &back, Message::Ack { id });
        if !self.seen.note(routed.seen_as()) {
            self.stats.duplicates += 1;
            return;
        }
        self.take_on(now, Some(from), routed);
    }

    /// Whether a message is one of this node's own that waits for another's
    /// acknowledgement: nobody's message takes its place.
    fn holds_own(&self, id: MessageId, from: P) -> bool {
        let own = |hop: &&Hop<P>| id.origin == self.me.guid && hop.before.is_none();
        self.hops
            .get(&id)
            .filter(own)
            .is_some_and(|hop| hop.next.is_some() && !hop.is_to(from))
    }

    /// Whether a message may still come from this hop: each has its share of what waits
    /// here, so that what one cannot get rid of takes no room from the others (P36).
    fn has_room_to_carry(&self, from: P, key: Guid) -> bool {
        let decided = self.waiting.values();
        let decided = decided
            .filter(|waiting| waiting.before == Some(from))
            .count();
        let carried = self.hops.carried_for(from) + decided;
        let shares = carried < self.config.security.peer_in_flight;
        shares
            && (self.hops.len() < MAX_IN_FLIGHT || self.choose_next(key, &[], None) == Next::Here)
    }

    /// The others know this node already, but not yet all: what they send is kept until
    /// they do, because before that another may deliver the same keys (P8).
    fn hold_early(&mut self, now: Time, back: &Contact<P>, routed: Routed<P>) {
        let id = routed.id;
        if !self.joining.announced {
            self.send(now, back, Message::Refuse { id });
        } else if self.has_room_for_early(back.peer) {
            self.send(now, back, Message::Ack { id });
            if self.seen.note(routed.seen_as()) {
                self.joining.early.push((back.peer, routed));
            }
        }
        // Where there is no room nothing is said, so the hop before sends it again.
    }

    /// Half of the room is for whoever has a few messages here at most (P36).
    fn has_room_for_early(&self, from: P) -> bool {
        let early = &self.joining.early;
        let of_it = early.iter().filter(|(before, _)| *before == from).count();
        early.len() < MAX_WAITING / 2 || (early.len() < MAX_WAITING && of_it < FEW_EARLY)
    }

    /// A message that is this node's to see to from here on.
    pub(crate) fn take_on(&mut self, now: Time, before: Option<P>, mut routed: Routed<P>) {
        if routed.hops >= MAX_HOPS {
            self.stats.dropped += 1;
            return;
        }
        routed.hops += 1;
        if matches!(routed.body, Body::Search(_)) {
            self.search_here(now, before, routed);
            return;
        }
        self.add_join_rows(&mut routed);
        self.forward(now, before, routed);
    }

    /// Hands a message to whoever is next, round those that were silent; delivers it
    /// here; or keeps it until the leaf set can tell.
    pub(crate) fn pass_on(
        &mut self,
        now: Time,
        mut routed: Routed<P>,
        before: Option<P>,
        excluded: Vec<P>,
        tries: u32,
    ) {
        if matches!(&routed.body, Body::Search(search) if search.asides.is_some()) {
            self.search_aside(now, before, routed, tries);
            return;
        }
        if matches!(routed.body, Body::NeighbourSet { .. })
            && self.leafs.is_settled()
            && self.leafs.covers(routed.key)
        {
            self.deliver(now, routed);
            return;
        }
        if tries == 0
            && self.config.security.randomised == RandomisedRouting::Always
            && may_stray(&routed.body)
            && let Some(next) = self.random_next(routed.key, &[])
        {
            self.transmit(now, routed, next, before, excluded, tries);
            return;
        }
        match self.choose(&routed, &excluded) {
            Next::Hop(next) => {
                let next = next.clone();
                if let Body::App {
                    any_of: Some(any_of),
                    ..
                } = &mut routed.body
                {
                    self.note_sightings(routed.key, any_of, &next);
                }
                self.transmit(now, routed, next, before, excluded, tries);
            }
            // A question about neighbours waits until a gap among them is mended.
            Next::Here
                if self.leafs.is_settled()
                    || matches!(routed.body, Body::App { .. } | Body::Search(_)) =>
            {
                self.deliver(now, routed);
            }
            Next::Here | Next::Nowhere => self.keep_until_settled(now, routed, before, tries),
        }
    }

    fn keep_until_settled(&mut self, now: Time, routed: Routed<P>, before: Option<P>, tries: u32) {
        if tries >= MAX_TRIES || self.hops.len() >= MAX_IN_FLIGHT {
            self.give_up(routed.id);
            return;
        }
        let id = routed.id;
        self.timers
            .set(Timer::Hop(id), now + self.config.probe_timeout);
        self.hops.insert(Hop {
            routed,
            before,
            next: None,
            sent: now,
            tries,
            excluded: Vec::new(),
        });
    }

    /// The leaf set has no gap any more: what waited for that goes on.
    pub(crate) fn release_kept(&mut self, now: Time) {
        let kept: Vec<MessageId> = self
            .hops
            .iter()
            .filter(|(_, hop)| hop.next.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in kept {
            self.timers.cancel(Timer::Hop(id));
            if let Some(hop) = self.hops.remove(&id) {
                self.pass_on(now, hop.routed, hop.before, hop.excluded, hop.tries);
            }
        }
    }

    /// Hands a message to `next` and waits for its acknowledgement.
    pub(crate) fn transmit(
        &mut self,
        now: Time,
        routed: Routed<P>,
        next: Contact<P>,
        before: Option<P>,
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
        // An honest origin's trace has room for every hop.
        if let Some(trace) = &mut sent.trace
            && trace.len() <= usize::from(MAX_HOPS)
        {
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
        self.hops.insert(Hop {
            routed,
            before,
            next: Some(next),
            sent: now,
            tries,
            excluded,
        });
    }

    pub(crate) fn handle_ack(&mut self, now: Time, from: P, id: MessageId) {
        let Some(hop) = self.hops.get(&id).filter(|hop| hop.is_to(from)) else {
            self.note_spoken(now, from, id);
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
        self.note_spoken(now, from, id);
    }

    /// The next hop has not joined: it was known from before a restart.
    pub(crate) fn handle_refuse(&mut self, now: Time, from: P, id: MessageId) {
        if self.hops.get(&id).is_none_or(|hop| !hop.is_to(from)) {
            return;
        }
        let Some(hop) = self.hops.remove(&id) else {
            return;
        };
        self.timers.cancel(Timer::Hop(id));
        // It will be taken in again when it has joined and says so.
        if let Some(next) = &hop.next {
            self.note_restarted(now, next.clone());
        }
        self.remove_peer(now, from, true);
        if let Some(next) = &hop.next {
            self.failed.remove(&next.guid);
        }
        self.try_another(now, hop, from);
    }

    pub(crate) fn handle_hop_timeout(&mut self, now: Time, id: MessageId) {
        let Some(hop) = self.hops.remove(&id) else {
            return;
        };
        let Some(silent) = hop.next.clone() else {
            self.pass_on(now, hop.routed, hop.before, hop.excluded, hop.tries + 1);
            return;
        };
        // A missed acknowledgement is no death, but reason to ask.
        if self.is_member(silent.guid) {
            self.probe(now, &silent, true, false);
        }
        self.note_unanswered(now, silent.peer, id);
        self.try_another(now, hop, silent.peer);
    }

    /// Routes round a hop; where the hop is the root itself, asks it again until it is
    /// known to be dead (P12).
    fn try_another(&mut self, now: Time, mut hop: Hop<P>, silent: P) {
        let is_join =
            matches!(hop.routed.body, Body::Join { .. }) && hop.routed.origin.guid == self.me.guid;
        if is_join && self.state == State::Joining {
            // A joiner has no other way in than its seed.
            self.timers.set(Timer::Join, now);
            return;
        }
        if is_join {
            self.meet_again(now, hop);
            return;
        }
        if !hop.excluded.contains(&silent) {
            hop.excluded.push(silent);
        }
        self.pass_on(now, hop.routed, hop.before, hop.excluded, hop.tries + 1);
    }

    /// A node died: what waits for it goes another way at once.
    pub(crate) fn reroute_around(&mut self, now: Time, dead: P) {
        let waiting: Vec<MessageId> = self
            .hops
            .iter()
            .filter(|(_, hop)| hop.is_to(dead))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.timers.cancel(Timer::Hop(id));
            if let Some(mut hop) = self.hops.remove(&id) {
                // The tries were for the dead one. Where several roots in a row are dead,
                // each takes its own.
                hop.tries = 0;
                self.try_another(now, hop, dead);
            }
        }
    }

    /// A connection broke: what waits for it need not wait its whole time. Each try waits
    /// longer than the one before, or a root that refuses connections would use them all
    /// up before it is known to be dead.
    pub(crate) fn hurry_hops(&mut self, now: Time, peer: P) {
        let waiting: Vec<(MessageId, u32)> = self
            .hops
            .iter()
            .filter(|(_, hop)| hop.is_to(peer))
            .map(|(id, hop)| (*id, hop.tries))
            .collect();
        for (id, tries) in waiting {
            let soon = self.config.min_rto * 2u32.pow(tries.min(6));
            self.timers.set_sooner(Timer::Hop(id), now + soon);
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

/// Whether a message may go another way than the rule's on its first try. One that any of
/// several nodes may take has to keep to its side of the key once it has turned there
/// (P33), and a joiner collects rows in their order.
fn may_stray<P>(body: &Body<P>) -> bool {
    match body {
        Body::Join { .. } => false,
        Body::App { any_of, .. } => any_of.is_none(),
        Body::ReplicaSet { .. } | Body::NeighbourSet { .. } | Body::Search(_) => true,
    }
}
