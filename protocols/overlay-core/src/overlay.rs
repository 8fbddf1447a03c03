//! One node's state, and the dispatcher of its inputs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use guid::{Base, Guid, Span};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::any_of::AnyOf;
use crate::density::Density;
use crate::handle::discovery::Meeting;
use crate::handle::intercept::Waiting;
use crate::handle::join::Joining;
use crate::handle::pace::Pace;
use crate::handle::request::Request;
use crate::handle::route::Next;
use crate::hops::Hops;
use crate::leaf_set::LeafSet;
use crate::location::message::{Location, Task};
use crate::location::state::LocationState;
use crate::message::Body;
use crate::near::Near;
use crate::peers::{Lost, Peers};
use crate::quotas::Quotas;
use crate::seen::Seen;
use crate::table::Table;
use crate::timers::{Timer, Timers};
use crate::{
    AppId, Config, Contact, Input, Message, Output, Peer, RequestId, State, Stats, Ticket, Time,
    TimerKind, View,
};

/// Most nodes remembered as dead: more than a leaf set loses while they are remembered.
pub(crate) const MAX_FAILED_MEMORY: usize = 1024;

/// Room for outputs that an idle node keeps: what a burst took is given back.
const KEPT_OUTPUTS: usize = 4;

/// One node's part in the overlay. The crate's page says how it is driven.
#[derive(Debug)]
pub struct Overlay<P: Peer> {
    pub(crate) config: Arc<Config>,
    pub(crate) base: Base,
    pub(crate) me: Contact<P>,
    pub(crate) state: State,
    pub(crate) leafs: LeafSet<P>,
    pub(crate) table: Table<P>,
    pub(crate) near: Near<P>,
    /// Everyone something is going on with.
    pub(crate) peers: Peers<P>,
    /// Dead nodes, and until when hearsay of them is not believed.
    pub(crate) failed: BTreeMap<Guid, Time>,
    /// Members found dead that may be back one day (P27).
    pub(crate) lost: BTreeMap<P, Lost<P>>,
    pub(crate) joining: Joining<P>,
    /// The last meeting with another network (P32).
    pub(crate) meeting: Option<Box<Meeting<P>>>,
    /// Whether the second stage of joining is under way (P28).
    pub(crate) tuning: bool,
    /// When a leaf was last lost.
    pub(crate) leaf_died: Option<Time>,
    /// When all leafs were last asked because several may have died (P15).
    pub(crate) asked_all: Option<Time>,
    /// How often the table is probed.
    pub(crate) pace: Pace,
    /// Messages handed to a next hop that has not acknowledged them.
    pub(crate) hops: Hops<P>,
    /// What others may make this node do (P36).
    pub(crate) quotas: Quotas<P>,
    /// How densely nodes stand on the ring, by the answers to lookups (P35).
    pub(crate) density: Density,
    pub(crate) seen: Seen,
    pub(crate) requests: BTreeMap<RequestId, Request<P>>,
    /// Whose the messages are, by their numbers.
    pub(crate) sent_for: BTreeMap<u64, RequestId>,
    pub(crate) waiting: BTreeMap<Ticket, Waiting<P>>,
    pub(crate) intercepted: BTreeSet<AppId>,
    /// Pointers to objects, objects of this node, searches.
    pub(crate) location: LocationState<P>,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) timers: Timers<P>,
    pub(crate) outputs: VecDeque<Output<P>>,
    pub(crate) stats: Stats,
}

impl<P: Peer> Overlay<P> {
    /// A node that starts to look for its network at `now`. The settings may be shared by
    /// many nodes of one process.
    ///
    /// # Panics
    /// When [`Config::validate`] refuses the settings.
    pub fn new(config: impl Into<Arc<Config>>, me: Contact<P>, seed: u64, now: Time) -> Self {
        let config = config.into();
        config
            .validate()
            .expect("settings are validated where they are read");
        let base = config.base();
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut timers = Timers::new();
        timers.set(Timer::Lonely, now + config.lonely_wait);
        Overlay {
            base,
            state: State::Joining,
            leafs: LeafSet::new(me.guid, config.leaf_set),
            table: Table::new(me.guid, base),
            near: Near::new(config.neighbourhood),
            peers: Peers::default(),
            failed: BTreeMap::new(),
            lost: BTreeMap::new(),
            joining: Joining::default(),
            meeting: None,
            tuning: false,
            leaf_died: None,
            asked_all: None,
            pace: Pace::default(),
            hops: Hops::default(),
            quotas: Quotas::default(),
            density: Density::default(),
            seen: Seen::default(),
            requests: BTreeMap::new(),
            sent_for: BTreeMap::new(),
            waiting: BTreeMap::new(),
            intercepted: BTreeSet::new(),
            location: LocationState::new(),
            rng,
            timers,
            outputs: VecDeque::new(),
            stats: Stats::default(),
            me,
            config,
        }
    }

    /// Takes in what happened at `now`. Drain [`Overlay::poll_output`] afterwards.
    pub fn handle_input(&mut self, now: Time, input: Input<P>) {
        match input {
            Input::PeerFound(contact) => self.handle_peer_found(now, contact),
            Input::PeerGone(peer) => self.handle_peer_gone(now, peer),
            Input::Received { from, message } => self.handle_message(now, from, message),
            Input::Route {
                request,
                key,
                k,
                app,
                payload,
                wants_reply,
            } => {
                let body = Body::App {
                    app,
                    payload,
                    wants_reply,
                    any_of: AnyOf::new(k),
                };
                self.handle_route_command(now, request, key, k, body);
            }
            Input::Locate {
                request,
                key,
                k,
                trace,
            } => {
                self.handle_locate(now, request, key, k, trace);
            }
            Input::Publish { request, object } => {
                self.handle_publish_command(now, request, object);
            }
            Input::Unpublish { request, object } => {
                self.handle_unpublish_command(now, request, object);
            }
            Input::LocateObject {
                request,
                object,
                count,
            } => self.handle_seek_command(now, request, object, count, Task::Find),
            Input::SendToObject {
                request,
                object,
                count,
                app,
                payload,
            } => {
                let task = Task::Deliver { app, payload };
                self.handle_seek_command(now, request, object, count, task);
            }
            Input::Reply {
                id,
                origin,
                hops,
                answer,
            } => {
                self.handle_app_reply(now, id, origin, hops, answer);
            }
            Input::Resume { ticket, payload } => self.handle_resume(now, ticket, payload),
            Input::Intercept(app) => {
                self.intercepted.insert(app);
            }
            Input::AddrsChanged(addrs) => self.handle_addrs_changed(now, addrs),
            Input::Leave => self.handle_leave_command(now),
            Input::Timeout => self.handle_timeout(now),
        }
        if !self.leafs.is_settled() {
            self.settle_leaf_set(now);
        }
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    /// What to do next, in order; `None` until the next input.
    pub fn poll_output(&mut self) -> Option<Output<P>> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            self.give_room_back();
        }
        output
    }

    /// An emptied tree keeps room for eleven entries, and an idle node has several such
    /// trees: together they would be more than its routing table.
    fn give_room_back(&mut self) {
        if self.outputs.capacity() > KEPT_OUTPUTS {
            self.outputs = VecDeque::new();
        }
        if self.hops.is_empty() {
            self.hops = Hops::default();
        }
        if self.requests.is_empty() {
            self.requests = BTreeMap::new();
            self.sent_for = BTreeMap::new();
        }
        if self.waiting.is_empty() {
            self.waiting = BTreeMap::new();
        }
        if self.failed.is_empty() {
            self.failed = BTreeMap::new();
        }
        if self.lost.is_empty() {
            self.lost = BTreeMap::new();
        }
        self.timers.give_room_back();
    }

    /// When [`Input::Timeout`] is wanted next, and why.
    pub fn poll_timeout(&self) -> Option<(Time, TimerKind)> {
        self.timers.next()
    }

    fn handle_message(&mut self, now: Time, from: P, message: Message<P>) {
        if self.state == State::Left || from == self.me.peer {
            return;
        }
        self.stats.received += 1;
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.heard = now;
        }
        if message.makes_work() && !self.quotas.admit(now, from, &self.config.security) {
            self.stats.limited += 1;
            return;
        }
        match message {
            Message::Probe { nonce, view } => self.handle_probe(now, from, nonce, view),
            Message::ProbeReply { nonce, view } => self.handle_probe_reply(now, from, nonce, view),
            Message::Ping { nonce } => self.handle_ping(now, from, nonce),
            Message::Pong { nonce, active } => self.handle_pong(now, from, nonce, active),
            Message::Heartbeat => {}
            Message::Route(routed) => self.handle_routed(now, from, routed),
            Message::Ack { id } => self.handle_ack(now, from, id),
            Message::Refuse { id } => self.handle_refuse(now, from, id),
            Message::Reply {
                id,
                hops,
                trace,
                from: root,
                answer,
            } => {
                self.handle_reply(now, id, hops, trace, root, answer);
            }
            Message::StateRequest { nonce, part } => {
                self.handle_state_request(now, from, nonce, part);
            }
            Message::StateReply {
                nonce,
                part,
                contacts,
                rtts,
            } => {
                self.handle_state_reply(now, from, nonce, part, contacts, rtts);
            }
            Message::Announce { sender, rtt_micros } => {
                self.handle_announce(now, from, sender, rtt_micros);
            }
            Message::Leave => self.handle_leave(now, from),
            Message::Location(message) => self.handle_location(now, from, message),
        }
    }

    fn handle_location(&mut self, now: Time, from: P, message: Location<P>) {
        match message {
            Location::Publish(publish) => self.handle_publish(now, from, publish),
            Location::Published {
                nonce,
                stored,
                way,
                also,
            } => self.handle_published(now, from, nonce, stored, way, also),
            Location::Unpublish { nonce, object } => {
                self.handle_unpublish(now, from, nonce, object);
            }
            Location::Unpublished { nonce } => self.handle_unpublished(now, from, nonce),
            Location::Moved { ways } => self.handle_moved(now, from, ways),
            Location::Errand(errand) => self.handle_errand(now, from, errand),
            Location::ErrandTaken { nonce, holds } => {
                self.handle_errand_taken(now, from, nonce, holds);
            }
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                Timer::Lonely => self.handle_lonely(now),
                Timer::Seed => self.handle_seed_chosen(now),
                Timer::Join => self.handle_join_timeout(now),
                Timer::Heartbeat => self.handle_heartbeat_due(now),
                Timer::Watch => self.watch_right(now),
                Timer::TableProbe => self.handle_table_probe_due(now),
                Timer::RowExchange => self.handle_row_exchange_due(now),
                Timer::Heal => self.handle_heal_due(now),
                Timer::Probe(peer) => self.handle_probe_timeout(now, peer),
                Timer::Hop(id) => self.handle_hop_timeout(now, id),
                Timer::Request(request) => self.handle_request_timeout(now, request),
                Timer::Ticket(ticket) => self.handle_ticket_timeout(now, ticket),
                Timer::Sweep => self.handle_sweep_due(now),
                Timer::Ways => self.handle_ways_due(now),
                Timer::Ask(nonce) => self.handle_ask_timeout(now, nonce),
                Timer::Walk(object, salt) => self.walk_on(now, object, salt),
                Timer::Publication(object) => self.handle_publication_due(now, object),
                Timer::Seek(request) => self.handle_seek_timeout(now, request),
            }
        }
    }

    /// Whether the node looks for its network, answers for keys, or has left.
    pub fn state(&self) -> State {
        self.state
    }

    /// This node.
    pub fn me(&self) -> &Contact<P> {
        &self.me
    }

    /// The counter-clockwise half of the leaf set, nearest first.
    pub fn smaller_leafs(&self) -> &[Contact<P>] {
        self.leafs.smaller()
    }

    /// The clockwise half of the leaf set, nearest first.
    pub fn larger_leafs(&self) -> &[Contact<P>] {
        self.leafs.larger()
    }

    /// The routing table's entries as (row, column, node), by row and column.
    pub fn table(&self) -> impl Iterator<Item = (usize, usize, &Contact<P>)> {
        self.table
            .entries()
            .map(|(row, column, entry)| (row, column, &entry.contact))
    }

    /// The neighbourhood set, nearest first.
    pub fn neighbourhood(&self) -> impl Iterator<Item = &Contact<P>> {
        self.near.entries().iter().map(|entry| &entry.contact)
    }

    /// Smoothed round-trip time to a peer, once measured.
    pub fn rtt(&self, peer: P) -> Option<std::time::Duration> {
        self.peers.get(&peer)?.rtt.smoothed()
    }

    /// Whether a peer stands in the leaf set, the table or the neighbourhood set, so that
    /// its connection is worth keeping.
    pub fn keeps(&self, peer: P) -> bool {
        self.peers
            .get(&peer)
            .is_some_and(|peer| self.is_member(peer.contact.guid))
    }

    /// The `k` nodes closest to a key, if the leaf set is sure of them (P14).
    pub fn replica_set(&self, key: Guid, k: usize) -> Option<Vec<Contact<P>>> {
        (self.state == State::Active)
            .then(|| self.leafs.replica_set(key, k, &self.me))
            .flatten()
    }

    /// The arc on which nobody is unknown to the leaf set; `None` where that is the whole
    /// ring. A side with room is no proof: it may have a gap that is being mended (P2).
    pub fn known_arc(&self) -> Option<Span> {
        (!self.leafs.knows_whole_ring()).then(|| self.leafs.arc())
    }

    /// Where a message for `key` would go next; `None` when it ends here, or has to wait
    /// here until the leaf set is mended.
    pub fn next_hop(&self, key: Guid) -> Option<&Contact<P>> {
        match self.choose_next(key, &[], None) {
            Next::Hop(next) => Some(next),
            Next::Here | Next::Nowhere => None,
        }
    }

    /// Pointers that this node keeps for others, as (object, holder), in order.
    pub fn pointers(&self) -> impl Iterator<Item = (Guid, P)> + '_ {
        self.location.pointers.all()
    }

    /// The same, each with the time at which it expires unless it is renewed.
    pub fn pointers_until(&self) -> impl Iterator<Item = (Guid, P, Time)> + '_ {
        self.location.pointers.all_until()
    }

    /// The objects that this node publishes, in order.
    pub fn published(&self) -> impl Iterator<Item = Guid> + '_ {
        self.location.publications.keys().copied()
    }

    /// What the node has counted.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether others may count on this node: it is active, or will be as soon as its
    /// leaf set knows of it (P8).
    pub(crate) fn has_place(&self) -> bool {
        self.state == State::Active || self.joining.announced
    }

    pub(crate) fn is_member(&self, guid: Guid) -> bool {
        self.leafs.contains(guid) || self.table.contains(guid) || self.near.contains(guid)
    }

    /// Everyone in the leaf set, the table or the neighbourhood set, once.
    pub(crate) fn members(&self) -> Vec<Contact<P>> {
        let mut all = self.leafs.members();
        all.extend(
            self.table
                .entries()
                .map(|(_, _, entry)| entry.contact.clone()),
        );
        all.extend(
            self.near
                .entries()
                .iter()
                .map(|entry| entry.contact.clone()),
        );
        all.sort_by_key(|contact| contact.guid);
        all.dedup_by_key(|contact| contact.guid);
        all
    }

    /// What a probe or its answer tells `receiver`.
    pub(crate) fn view(&self, now: Time, receiver: P) -> View<P> {
        let mut failed: Vec<(Time, Guid)> = self
            .failed
            .iter()
            .filter(|(_, until)| **until > now)
            .map(|(guid, until)| (*until, *guid))
            .collect();
        // The latest deaths are the news.
        failed.sort_unstable_by(|a, b| b.cmp(a));
        failed.truncate(crate::message::MAX_FAILED);
        View {
            sender: self.me.clone(),
            active: self.has_place(),
            rtt_micros: self.rtt(receiver).map(crate::rtt::micros),
            probe_period_ms: self.told_period(),
            leafs: self.leafs.members(),
            failed: failed.into_iter().map(|(_, guid)| guid).collect(),
        }
    }

    pub(crate) fn send(&mut self, now: Time, to: &Contact<P>, message: Message<P>) {
        self.stats.sent += 1;
        if let Some(peer) = self.peers.get_mut(&to.peer) {
            peer.told = now;
        }
        self.outputs.push_back(Output::Send {
            to: to.clone(),
            message,
        });
    }

    /// A message to a peer that is connected, and known to this node or not.
    pub(crate) fn send_back(&mut self, now: Time, peer: P, message: Message<P>) {
        let to = match self.peers.get(&peer) {
            Some(known) => known.contact.clone(),
            // Its connection is open, so its name is address enough.
            None => Contact {
                guid: Guid::default(),
                peer,
                addrs: crate::Addrs::default(),
            },
        };
        self.send(now, &to, message);
    }

    /// A name for a message, a question or a decision that no other node can guess, or it
    /// could answer in another's name and have messages taken for repeated ones. Nor does
    /// a restarted node use the names again that its neighbours have seen. The highest bit
    /// is never set.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.rng.next_u64() >> 1
    }

    /// Remembers a dead node, so that nobody's hearsay brings it back (P9).
    pub(crate) fn remember_failed(&mut self, now: Time, guid: Guid) {
        self.failed.retain(|_, until| *until > now);
        if self.failed.len() >= MAX_FAILED_MEMORY
            && let Some(oldest) = self.failed.iter().min_by_key(|(_, until)| **until)
        {
            let oldest = *oldest.0;
            self.failed.remove(&oldest);
        }
        self.failed.insert(guid, now + self.config.failed_memory);
    }

    pub(crate) fn is_failed(&self, now: Time, guid: Guid) -> bool {
        self.failed.get(&guid).is_some_and(|until| *until > now)
    }

    /// Checks what must hold between two inputs.
    ///
    /// # Panics
    /// When it does not hold: a mistake in this crate.
    pub fn check_invariants(&self) {
        self.leafs.check_invariants();
        self.table.check_invariants();
        self.near.check_invariants();
        self.location.check_invariants(&self.config.location);
        self.check_bounds();
        self.check_timers();
        for contact in self.members() {
            assert!(
                contact.guid != self.me.guid,
                "a node is no neighbour of its own"
            );
            assert!(
                self.peers.contains_key(&contact.peer),
                "a member of a set is known only by hearsay"
            );
            assert!(
                !self.failed.contains_key(&contact.guid),
                "a member of a set is dead"
            );
        }
        self.hops.check_invariants();
        self.quotas.check_invariants();
    }
}
