//! Lookups that do not take the first answer for true: the routing failure test, and then
//! several ways at once (P35; Castro, Druschel, Ganesh, Rowstron & Wallach, *Secure routing
//! for structured peer-to-peer overlay networks*, OSDI 2002, sections 5.2 and 5.3).
//!
//! Departures: the paper's nodes keep a second routing table without proximity for this,
//! and have certified identifiers. Here the ordinary tables are used, whose entries have
//! answered this node itself (P13), and a name counts once its node has answered the asker.

use std::collections::BTreeMap;
use std::time::Duration;

use guid::Guid;
use rand::Rng;

use crate::density::mean_gap;
use crate::message::Body;
use crate::timers::Timer;
use crate::{
    Answer, Contact, MessageId, Outcome, Overlay, Peer, RequestId, RouteFailure, Routed, Time,
};

/// Rounds of several ways. The paper stops after three too.
const MAX_ROUNDS: u32 = 3;

/// After as many rounds in which every question was answered the answers are believed,
/// plausible or not.
const SURE_ROUNDS: u32 = 2;

/// Of those named, the closest that are asked even where fewer are wanted: each of them
/// names its own neighbours, so one good one among them is enough.
const WITNESSES: usize = 4;

/// A node that was asked itself and has been silent for this part of a round counts as not
/// there, unless it speaks later: long enough for one that is busy, and all that naming nodes
/// that do not exist costs.
const SILENCE_PARTS: u32 = 4;

/// Most nodes named that are remembered, the closest of all answers.
const MAX_NAMED: usize = 128;

/// Most questions in a lookup, of all rounds: a bound on what liars can make it ask.
const MAX_QUESTIONS: usize = 256;

/// What is known of a node that was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Named,
    Asked,
    /// It did not answer in time, and counts as not there from then on.
    Silent(Time),
    /// It has answered this node itself.
    Heard,
}

/// A lookup under way.
#[derive(Clone, Debug)]
pub(crate) struct Lookup<P> {
    key: Guid,
    k: usize,
    /// 0 while the first, ordinary way is tried.
    round: u32,
    /// Questions of the rounds, and whether each was answered.
    sent: BTreeMap<u64, bool>,
    /// First hops of them.
    first_hops: Vec<P>,
    /// Nodes named so far, by how far they are from the key.
    named: BTreeMap<u128, Vec<(Contact<P>, Standing)>>,
    hops: u8,
    round_ends: Time,
}

impl<P: Peer> Lookup<P> {
    pub(crate) fn new(key: Guid, k: usize) -> Self {
        Lookup {
            key,
            k,
            round: 0,
            sent: BTreeMap::new(),
            first_hops: Vec::new(),
            named: BTreeMap::new(),
            hops: 0,
            round_ends: Time::ZERO,
        }
    }

    /// The numbers of its questions.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.sent.keys().copied()
    }

    /// A peer has answered this node itself; whether that is news.
    fn note_heard(&mut self, peer: P) -> bool {
        let mut is_news = false;
        for (contact, standing) in self.named.values_mut().flatten() {
            if contact.peer == peer && *standing != Standing::Heard {
                *standing = Standing::Heard;
                is_news = true;
            }
        }
        is_news
    }

    /// A peer that was asked itself has not answered in time.
    fn note_silent(&mut self, peer: P, counts_from: Time) {
        for (contact, standing) in self.named.values_mut().flatten() {
            if contact.peer == peer && *standing == Standing::Asked {
                *standing = Standing::Silent(counts_from);
            }
        }
    }

    /// When something is decided without another message: one that is silent counts as not
    /// there, or the round ends.
    fn next_time(&self, now: Time) -> Time {
        let silent = self.named.values().flatten().filter_map(|(_, s)| match s {
            Standing::Silent(at) if *at > now => Some(*at),
            _ => None,
        });
        silent.min().unwrap_or(self.round_ends).min(self.round_ends)
    }

    fn add(&mut self, contact: Contact<P>, standing: Standing) {
        let at = self
            .named
            .entry(self.key.distance(contact.guid))
            .or_default();
        // Two nodes may be equally far, on either side.
        match at.iter_mut().find(|(known, _)| known.guid == contact.guid) {
            Some((_, known)) if standing == Standing::Heard => *known = standing,
            Some(_) => {}
            None => at.push((contact, standing)),
        }
        while self.named.len() > MAX_NAMED {
            self.named.pop_last();
        }
    }

    fn closest(&self) -> impl Iterator<Item = &(Contact<P>, Standing)> {
        self.named.values().flatten()
    }

    /// Those that have answered themselves, closest first.
    fn heard(&self) -> Vec<Contact<P>> {
        self.closest()
            .filter(|(_, standing)| *standing == Standing::Heard)
            .map(|(contact, _)| contact.clone())
            .collect()
    }

    /// The closest that were named, as many as decide, and how each stands.
    fn deciding(&self) -> impl Iterator<Item = &(Contact<P>, Standing)> {
        self.closest().take(self.k.max(WITNESSES))
    }
}

impl<P: Peer> Overlay<P> {
    /// An answer to a lookup came: of the ordinary way, or of one of several.
    pub(crate) fn handle_lookup_answer(
        &mut self,
        now: Time,
        request: RequestId,
        id: MessageId,
        from: Contact<P>,
        hops: u8,
        answer: Answer<P>,
    ) {
        let Answer::ReplicaSet(mut list) = answer else {
            return;
        };
        list.truncate(self.config.leaf_set + 1);
        let Some(lookup) = self.lookup_mut(request) else {
            return;
        };
        let (key, k) = (lookup.key, lookup.k);
        lookup.hops = hops;
        if lookup.round == 0 {
            list.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
            let root = list.first().is_some_and(|first| first.guid == from.guid);
            if root && self.is_plausible(key, &list) {
                list.truncate(k);
                self.end_lookup(request, from, list);
                return;
            }
            if let Some(lookup) = self.lookup_mut(request) {
                lookup.sent.insert(id.number, true);
            }
            self.note_named(request, from, list);
            self.start_round(now, request);
            return;
        }
        match lookup.sent.get_mut(&id.number) {
            Some(answered) => *answered = true,
            // The first question of all was answered late.
            None => {
                lookup.sent.insert(id.number, true);
            }
        }
        self.note_named(request, from, list);
        self.ask_deciding(now, request);
        self.conclude(now, request, false);
    }

    /// A peer has acknowledged a message, in time or not: if that was a question of a
    /// lookup, the peer has spoken for itself.
    pub(crate) fn note_spoken(&mut self, now: Time, peer: P, id: MessageId) {
        let Some(request) = self.request_of(id) else {
            return;
        };
        if let Some(lookup) = self.lookup_mut(request)
            && lookup.note_heard(peer)
            && lookup.round > 0
        {
            self.conclude(now, request, false);
        }
    }

    /// A peer has not acknowledged a message in time. A lookup that asked it does without
    /// it by and by.
    pub(crate) fn note_unanswered(&mut self, now: Time, peer: P, id: MessageId) {
        let wait = self.round_wait() / SILENCE_PARTS;
        let Some(request) = self.request_of(id) else {
            return;
        };
        if let Some(lookup) = self.lookup_mut(request)
            && lookup.round > 0
        {
            lookup.note_silent(peer, now + wait);
            let next = lookup.next_time(now);
            self.timers.set(Timer::Request(request), next);
        }
    }

    /// No answer came in time, or not enough of them.
    pub(crate) fn handle_lookup_timeout(&mut self, now: Time, request: RequestId) {
        let Some(lookup) = self.lookup_mut(request) else {
            return;
        };
        if lookup.round == 0 {
            self.start_round(now, request);
            return;
        }
        let overdue = now >= lookup.round_ends;
        if !overdue {
            let next = lookup.next_time(now);
            self.timers.set(Timer::Request(request), next);
        }
        self.conclude(now, request, overdue);
    }

    fn lookup_mut(&mut self, request: RequestId) -> Option<&mut Lookup<P>> {
        self.requests.get_mut(&request)?.lookup.as_deref_mut()
    }

    /// The routing failure test: bad nodes that name their own kind name nodes that stand
    /// farther apart than all nodes do. What this node knows at first hand counts too.
    fn is_plausible(&mut self, key: Guid, list: &[Contact<P>]) -> bool {
        let Some(root) = list.first() else {
            return false;
        };
        let known = self.leafs.smaller().iter().chain(self.leafs.larger());
        let known = known
            .chain(self.table.entries().map(|(_, _, entry)| &entry.contact))
            .chain([&self.me]);
        if known
            .into_iter()
            .any(|known| key.cmp_distance(known.guid, root.guid).is_lt())
        {
            return false;
        }
        let leafs = self.leafs.smaller().iter().chain(self.leafs.larger());
        let Some(own) = mean_gap(self.me.guid, leafs.chain([&self.me])) else {
            // Too few nodes to say how densely they stand.
            return true;
        };
        let Some(gap) =
            mean_gap(key, list.iter()).filter(|_| list.len() > self.config.leaf_set / 4)
        else {
            return false;
        };
        let percent = self.config.security.density_percent;
        let plausible = self.density.allows(gap, own, percent);
        if plausible {
            self.density.note(gap);
        }
        plausible
    }

    fn note_named(&mut self, request: RequestId, from: Contact<P>, list: Vec<Contact<P>>) {
        let me = self.me.clone();
        let Some(lookup) = self.lookup_mut(request) else {
            return;
        };
        lookup.add(from, Standing::Heard);
        for contact in list {
            let standing = if contact.guid == me.guid {
                Standing::Heard
            } else {
                Standing::Named
            };
            lookup.add(contact, standing);
        }
    }

    /// Sends the question on several ways, each by another of this node's leaf set, or of
    /// its table where those are used up.
    fn start_round(&mut self, now: Time, request: RequestId) {
        let mut leafs = self.leafs.members();
        let mut others: Vec<Contact<P>> = self
            .table
            .entries()
            .map(|(_, _, entry)| entry.contact.clone())
            .collect();
        self.shuffle(&mut leafs);
        self.shuffle(&mut others);
        let routes = self.config.security.redundant_routes;
        let wait = self.round_wait();
        let Some(state) = self.requests.get_mut(&request) else {
            return;
        };
        let until = (now + wait).min(state.deadline);
        let Some(lookup) = state.lookup.as_deref_mut() else {
            return;
        };
        lookup.round += 1;
        lookup.round_ends = until;
        let first = lookup.round == 1;
        let mut hops: Vec<Contact<P>> = Vec::new();
        for contact in leafs.into_iter().chain(others) {
            if hops.len() < routes && !lookup.first_hops.contains(&contact.peer) {
                lookup.first_hops.push(contact.peer);
                hops.push(contact);
            }
        }
        self.stats.doubted += u64::from(first);
        self.timers.set(Timer::Request(request), until);
        for hop in hops {
            self.ask_by(now, request, hop);
        }
        self.ask_deciding(now, request);
    }

    /// Who is closest of those that were named is asked himself: whether he is there, and
    /// whom he knows around the key.
    fn ask_deciding(&mut self, now: Time, request: RequestId) {
        let Some(lookup) = self.lookup_mut(request) else {
            return;
        };
        let unasked: Vec<Contact<P>> = lookup
            .deciding()
            .filter(|(_, standing)| *standing == Standing::Named)
            .map(|(contact, _)| contact.clone())
            .collect();
        for contact in unasked {
            if let Some(lookup) = self.lookup_mut(request) {
                for (known, standing) in lookup.named.values_mut().flatten() {
                    if known.guid == contact.guid {
                        *standing = Standing::Asked;
                    }
                }
            }
            self.ask_by(now, request, contact);
        }
    }

    /// One question, by this first hop.
    fn ask_by(&mut self, now: Time, request: RequestId, hop: Contact<P>) {
        let number = self.next_number();
        let k = u8::try_from(self.config.leaf_set + 1).unwrap_or(u8::MAX);
        let origin = self.me.clone();
        let Some(lookup) = self.lookup_mut(request) else {
            return;
        };
        if lookup.sent.len() >= MAX_QUESTIONS {
            return;
        }
        lookup.sent.insert(number, false);
        let key = lookup.key;
        self.sent_for.insert(number, request);
        let routed = Routed {
            id: MessageId {
                origin: origin.guid,
                number,
            },
            key,
            origin,
            hops: 0,
            trace: None,
            body: Body::NeighbourSet { k },
        };
        self.transmit(now, routed, hop, None, Vec::new(), 0);
    }

    /// Ends the lookup if it is known who is closest, or if there is no more time.
    fn conclude(&mut self, now: Time, request: RequestId, overdue: bool) {
        let Some(state) = self.requests.get(&request) else {
            return;
        };
        let Some(lookup) = state.lookup.as_deref() else {
            return;
        };
        let last = now >= state.deadline || lookup.round >= MAX_ROUNDS;
        let answered = lookup.sent.values().filter(|answered| **answered).count();
        // A question to one that is slow goes on by another, whose answer says nothing of it.
        let is_gone = |(contact, standing): &(Contact<P>, Standing)| {
            matches!(standing, Standing::Silent(at) if *at <= now)
                || self.is_failed(now, contact.guid)
        };
        let settled = lookup
            .deciding()
            .all(|one| one.1 == Standing::Heard || is_gone(one));
        let all = settled && answered == lookup.sent.len();
        let heard = lookup.heard();
        let (key, k) = (lookup.key, lookup.k);
        let enough = settled && 2 * answered > lookup.sent.len();
        if !(all || enough || overdue) {
            return;
        }
        let named: Vec<Contact<P>> = lookup
            .closest()
            .filter(|one| !is_gone(one))
            .take(self.config.leaf_set + 1)
            .map(|(contact, _)| contact.clone())
            .collect();
        // A sparse stretch of the ring is one when two rounds say so: with a third bad, all
        // ways of one round are bad in one of thirty.
        let sparse = all && lookup.round >= SURE_ROUNDS;
        let certain = sparse || (settled && !heard.is_empty() && self.is_plausible(key, &named));
        let over = all || overdue;
        if certain || (last && over && !heard.is_empty()) {
            let mut heard = heard;
            heard.truncate(k);
            let root = heard.first().cloned().unwrap_or_else(|| self.me.clone());
            self.end_lookup(request, root, heard);
        } else if over && last {
            let wait = self.config.request_timeout;
            self.forget_questions(request);
            self.end(request, Err(RouteFailure::TimedOut(wait)));
        } else if over {
            self.start_round(now, request);
        }
    }

    fn end_lookup(&mut self, request: RequestId, from: Contact<P>, closest: Vec<Contact<P>>) {
        let hops = self.lookup_mut(request).map_or(0, |lookup| lookup.hops);
        self.forget_questions(request);
        let answer = Answer::ReplicaSet(closest);
        self.end(
            request,
            Ok(Outcome::Replied {
                from,
                answer,
                hops,
                trace: None,
            }),
        );
    }

    /// Questions that a hop has not acknowledged are of no use any more.
    fn forget_questions(&mut self, request: RequestId) {
        let Some(state) = self.requests.get(&request) else {
            return;
        };
        let numbers = state.lookup.iter().flat_map(|lookup| lookup.sent.keys());
        let numbers: Vec<u64> = numbers.copied().chain([state.id.number]).collect();
        for number in numbers {
            let origin = self.me.guid;
            self.forget_hop(MessageId { origin, number });
        }
    }

    /// How long a round may take: as long as a request waits before it is sent again.
    fn round_wait(&self) -> Duration {
        self.config.request_timeout / 5
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let at = (self.rng.next_u64() % (last as u64 + 1)) as usize;
            list.swap(last, at);
        }
    }
}
