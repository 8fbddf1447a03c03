//! Joining: the way in, the leaf set's answers, becoming active (P7, P8; Pastry, section
//! 2.4; MSPastry, "consistent join").

use std::collections::BTreeMap;

use guid::Guid;

use crate::handle::near_seed::NearSearch;
use crate::message::{Body, Part};
use crate::timers::Timer;
use crate::{Answer, Contact, MessageId, Output, Overlay, Peer, Routed, State, Time};

/// Contacts a join message collects: the rows of a table in the largest network.
pub(crate) const MAX_JOIN_ROWS: usize = 512;

/// Most nodes found but not yet joined with.
pub(crate) const MAX_SEEDS: usize = 64;

/// Of the seed's neighbours, those whose own are asked for; the others say what they have
/// for the first row.
const NEAR_ASKED: usize = 8;

/// How far a joiner is.
#[derive(Clone, Debug)]
pub(crate) struct Joining<P> {
    /// Nodes found, and whether they said that they are active.
    pub(crate) seeds: BTreeMap<P, bool>,
    pub(crate) lonely_rounds: u32,
    /// The leaf sets of active seeds, as many as one has members.
    pub(crate) named: Vec<Contact<P>>,
    /// The search for a nearer seed than those found (P39).
    pub(crate) search: Option<Box<NearSearch<P>>>,
    /// Whether there was one: there is one for each join at most.
    pub(crate) has_searched: bool,
    /// Active nodes that it has measured.
    pub(crate) measured: Vec<Contact<P>>,
    /// Candidates for the leaf set that have no place either.
    inactive: Vec<Guid>,
    /// Whether an active node has answered: there is a network.
    pub(crate) met_active: bool,
    /// The seed asked for the way in, and the message's name.
    pub(crate) asked: Option<(P, MessageId)>,
    /// Whether the root has answered, so that only the leaf set's answers are missing.
    pub(crate) answered: bool,
    /// Whether the leaf set has been told that this node takes its place, so that only
    /// its word that it knows is missing.
    pub(crate) announced: bool,
    /// What came for this node's keys since, and from whom.
    pub(crate) early: Vec<(P, Routed<P>)>,
}

impl<P> Default for Joining<P> {
    fn default() -> Self {
        Joining {
            seeds: BTreeMap::new(),
            lonely_rounds: 0,
            named: Vec::new(),
            search: None,
            has_searched: false,
            measured: Vec::new(),
            inactive: Vec::new(),
            met_active: false,
            asked: None,
            answered: false,
            announced: false,
            early: Vec::new(),
        }
    }
}

impl<P: Peer> Joining<P> {
    /// Notes a candidate without a place, while there is room.
    pub(crate) fn note_inactive(&mut self, guid: Guid) {
        if self.inactive.len() < MAX_SEEDS {
            self.inactive.push(guid);
        }
    }

    /// Notes a seed that is active, in place of another if there is no room.
    pub(crate) fn note_best_seed(&mut self, peer: P) {
        if self.seeds.len() >= MAX_SEEDS && !self.seeds.contains_key(&peer) {
            let worst = self.seeds.iter().min_by_key(|(_, active)| **active);
            if let Some(worst) = worst.map(|(peer, _)| *peer) {
                self.seeds.remove(&worst);
            }
        }
        self.note_seed(peer, true);
    }

    /// Notes a possible seed. Says whether there was room.
    pub(crate) fn note_seed(&mut self, peer: P, active: bool) -> bool {
        let known = self.seeds.get(&peer).copied();
        if known.is_none() && self.seeds.len() >= MAX_SEEDS {
            return false;
        }
        self.seeds.insert(peer, active || known == Some(true));
        true
    }
}

impl<P: Peer> Overlay<P> {
    /// An active node answered a joiner: for a moment others may answer that are nearer.
    pub(crate) fn note_active_seed(&mut self, now: Time, peer: P) {
        self.joining.met_active = true;
        if !self.joining.note_seed(peer, true) {
            return;
        }
        if self.joining.asked.is_none() && !self.timers.is_set(&Timer::Seed) {
            self.timers.cancel(Timer::Lonely);
            self.timers.set(Timer::Seed, now + self.config.seed_wait);
        }
    }

    /// Sends the join message by the nearest active node that was found.
    pub(crate) fn handle_seed_chosen(&mut self, now: Time) {
        if self.state != State::Joining || self.joining.asked.is_some() {
            return;
        }
        if self.joining.search.is_some() {
            // It has taken too long.
            self.end_near_search(now);
            return;
        }
        let active = self.joining.seeds.iter().filter(|(_, active)| **active);
        let nearest = active
            .filter_map(|(peer, _)| self.peers.get(peer))
            .min_by_key(|peer| {
                (
                    peer.rtt.smoothed().is_none(),
                    peer.rtt.smoothed(),
                    peer.contact.guid,
                )
            })
            .map(|peer| peer.contact.clone());
        let Some(seed) = nearest else {
            self.look_again(now);
            return;
        };
        if self.begin_near_search(now, &seed) {
            return;
        }
        let routed = self.join_message();
        let id = routed.id;
        self.joining.asked = Some((seed.peer, id));
        self.joining.answered = false;
        self.timers.set(Timer::Join, now + self.config.join_timeout);
        self.transmit(now, routed, seed, None, Vec::new(), 0);
    }

    /// The question who stands where this node stands, or would.
    pub(crate) fn join_message(&mut self) -> Routed<P> {
        let id = MessageId {
            origin: self.me.guid,
            number: self.next_number(),
        };
        Routed {
            id,
            key: self.me.guid,
            origin: self.me.clone(),
            hops: 0,
            trace: None,
            body: Body::Join {
                rows: Vec::new(),
                near: Vec::new(),
            },
        }
    }

    pub(crate) fn handle_join_timeout(&mut self, now: Time) {
        self.timers.cancel(Timer::Join);
        if self.state != State::Joining {
            return;
        }
        if let Some((seed, id)) = self.joining.asked.take() {
            self.forget_hop(id);
            self.joining.seeds.remove(&seed);
        }
        self.joining.answered = false;
        self.joining.announced = false;
        let lost = std::mem::take(&mut self.joining.early);
        self.stats.dropped += lost.len() as u64;
        self.handle_seed_chosen(now);
    }

    /// No seed is left: ask those known again, and count as lonely until one answers.
    fn look_again(&mut self, now: Time) {
        self.timers
            .set(Timer::Lonely, now + self.config.lonely_wait);
        let known: Vec<_> = self
            .peers
            .values()
            .map(|peer| peer.contact.clone())
            .collect();
        for contact in known {
            self.joining.note_seed(contact.peer, false);
            self.probe(now, &contact, true, false);
        }
    }

    /// A node on the way adds what it knows for the joiner's table.
    pub(crate) fn add_join_rows(&self, routed: &mut Routed<P>) {
        let Body::Join { rows, near } = &mut routed.body else {
            return;
        };
        if routed.hops == 1 {
            near.extend(
                self.near
                    .entries()
                    .iter()
                    .map(|entry| entry.contact.clone()),
            );
            near.truncate(self.config.neighbourhood);
        }
        let shared = self.me.guid.shared_prefix(routed.key, self.base);
        for row in 0..=shared {
            for entry in self.table.row(row) {
                add_once(rows, &entry.contact);
            }
        }
        add_once(rows, &self.me);
    }

    /// The root's answer: the joiner asks every candidate itself before it uses it.
    pub(crate) fn handle_join_answer(
        &mut self,
        now: Time,
        id: MessageId,
        from: Contact<P>,
        answer: Answer<P>,
    ) {
        let Answer::Join { rows, near, leafs } = answer else {
            return;
        };
        if self.state == State::Active {
            self.handle_place_found(now, id, from, leafs);
            return;
        }
        let expected = self.joining.asked.is_some_and(|(_, asked)| asked == id);
        if self.state != State::Joining || !expected {
            return;
        }
        // The answer says that the seed has passed the message on.
        self.forget_hop(id);
        self.joining.answered = true;
        for measured in std::mem::take(&mut self.joining.measured) {
            let known = self.peers.get(&measured.peer);
            if known.is_some_and(|known| known.contact.guid == measured.guid) {
                self.admit_by_distance(&measured);
            }
        }
        // From here on the probes' own timeouts bound the wait.
        // Two rounds of them, and a third for who is named late.
        let round = self.config.probe_timeout * (self.config.probe_retries + 1);
        self.timers.set(
            Timer::Join,
            now + self.config.request_timeout.max(round * 3),
        );
        let leafs: Vec<_> = leafs.into_iter().chain([from]).collect();
        self.ask_leafs(now, &leafs);
        // The seed is near, so its neighbours are this node's, and its first row's too.
        for (number, contact) in near.iter().enumerate() {
            let part = if number < NEAR_ASKED {
                Part::Near
            } else {
                Part::Row(0)
            };
            if !self.is_failed(now, contact.guid) {
                self.ask_for_state(now, contact, part);
            }
        }
        // In the order of the way: who shares more digits comes later, but is nearer to
        // what it names than those before (Pastry, section 2.5).
        for contact in rows {
            self.ask_for_cell(now, &contact);
        }
        self.activate_if_answered(now);
    }

    /// Active once every candidate for the leaf set has answered or is dead, and each
    /// member has then confirmed that it knows this node (P8).
    pub(crate) fn activate_if_answered(&mut self, now: Time) {
        if self.state != State::Joining || !self.joining.answered || self.asks_leafs() {
            return;
        }
        if self.leafs.members().is_empty() {
            // Everyone named has died meanwhile.
            self.handle_join_timeout(now);
        } else if self.joining.announced {
            self.activate(now);
        } else {
            self.announce(now);
        }
    }

    /// Says to its leaf set, and to those it was found by, that this node takes its place.
    /// From here on the others deliver its keys no more; it delivers them when all of its
    /// leaf set do so.
    fn announce(&mut self, now: Time) {
        self.joining.announced = true;
        // They may have joined since, and are to be believed in if others name them.
        for guid in std::mem::take(&mut self.joining.inactive) {
            self.failed.remove(&guid);
        }
        let found = self.joining.seeds.keys();
        let found = found.filter_map(|peer| self.peers.get(peer));
        let mut told: Vec<_> = found.map(|peer| peer.contact.clone()).collect();
        told.extend(self.leafs.members());
        told.sort_by_key(|contact| contact.guid);
        told.dedup_by_key(|contact| contact.guid);
        for contact in told {
            self.probe_anew(now, &contact);
        }
    }

    /// Takes the place on the ring.
    pub(crate) fn activate(&mut self, now: Time) {
        if !self.joining.announced {
            self.announce(now);
        }
        self.state = State::Active;
        self.outputs.push_back(Output::StateChanged(State::Active));
        for timer in [Timer::Lonely, Timer::Seed, Timer::Join] {
            self.timers.cancel(timer);
        }
        if !self.leafs.members().is_empty() {
            // There is a network, and it knows better whom it has lost.
            self.lost.clear();
        }
        self.timers
            .set(Timer::Heartbeat, now + self.config.heartbeat);
        self.pace.begin(now);
        self.set_table_probe(now);
        self.timers
            .set(Timer::RowExchange, now + self.config.row_exchange);
        self.timers.set(Timer::Heal, now + self.config.heal_period);
        let early = std::mem::take(&mut self.joining).early;
        self.tuning = true;
        self.end_second_stage(now);
        for (_, routed) in early {
            self.take_on(now, None, routed);
        }
        self.release_held(now);
        self.release_location(now);
    }
}

fn add_once<P: Peer>(rows: &mut Vec<Contact<P>>, contact: &Contact<P>) {
    if rows.len() < MAX_JOIN_ROWS && rows.iter().all(|known| known.guid != contact.guid) {
        rows.push(contact.clone());
    }
}
