//! Nearer entries for the table and the neighbourhood set: the second stage of joining,
//! and what others measured (P28, P30; Pastry, section 2.5; MSPastry, "proximity neighbour
//! selection").

use std::time::Duration;

use crate::message::Part;
use crate::peers::Asks;
use crate::rtt::micros;
use crate::{Contact, Message, Overlay, Peer, State, Time};

/// Candidates considered out of one answer.
const CANDIDATES_AN_ANSWER: usize = 64;

/// A node that is named as `named` away by one that is `asked` away is anything between
/// their difference and their sum away. This share of the way up from the least is the
/// guess by which it is asked or not: most that are no nearer are not, and few that are.
const GUESS: f64 = 0.3;

/// A node that is no nearer than the one in its cell may want this one for its own table,
/// if it is not much farther than nodes of its row usually are. It is asked up to this
/// many times the row's median.
const REACH: f64 = 1.6;

/// How far away a node may be that is named as `named` away by one that is `asked` away.
pub(crate) fn guess(asked: Duration, named: Duration) -> Duration {
    asked.abs_diff(named) + asked.min(named).mul_f64(2.0 * GUESS)
}

impl<P: Peer> Overlay<P> {
    /// Asks a node for the row in which it would stand, if nobody is known for its cell or
    /// being asked. The answer says how far away it is, and who else there is for the row.
    pub(crate) fn ask_for_cell(&mut self, now: Time, contact: &Contact<P>) {
        let Some((row, _)) = self.table.cell(contact.guid) else {
            return;
        };
        let open = self.table.is_empty_at(contact.guid) && !self.asks_cell(contact.guid);
        if open && !self.is_failed(now, contact.guid) {
            self.ask_for_state(now, contact, Part::Row(row as u8));
        }
    }

    pub(crate) fn handle_state_request(&mut self, now: Time, from: P, nonce: u64, part: Part) {
        if !self.has_place() {
            let active = false;
            self.send_back(now, from, Message::Pong { nonce, active });
            return;
        }
        let (contacts, rtts) = match part {
            Part::Row(row) => self
                .table
                .row(row.into())
                .map(|entry| (entry.contact.clone(), micros(entry.rtt())))
                .unzip(),
            Part::Near => self
                .near
                .entries()
                .iter()
                .map(|entry| (entry.contact.clone(), micros(entry.rtt())))
                .unzip(),
        };
        let reply = Message::StateReply {
            nonce,
            part,
            contacts,
            rtts,
        };
        self.send_back(now, from, reply);
    }

    pub(crate) fn handle_state_reply(
        &mut self,
        now: Time,
        from: P,
        nonce: u64,
        part: Part,
        contacts: Vec<Contact<P>>,
        rtts: Vec<u32>,
    ) {
        // Only what was asked for is read.
        let asked = |asks| asks == Asks::Part(part);
        if self.end_probe(now, from, nonce, asked).is_none() {
            return;
        }
        let Some(peer) = self.peers.get(&from) else {
            return;
        };
        let (sender, asked) = (peer.contact.clone(), peer.rtt.smoothed());
        self.note_alive_unseen(now, sender, true, None);
        if self.joining.search.is_some() {
            self.search_row(now, from, &contacts, &rtts);
            self.continue_near_search(now);
            return;
        }
        self.note_wanted(from, part, &contacts, &rtts);
        for (contact, rtt) in contacts.iter().zip(rtts).take(CANDIDATES_AN_ANSWER) {
            let named = Duration::from_micros(rtt.into());
            self.consider_nearer(now, contact, part, asked.unwrap_or_default(), named);
        }
        self.activate_if_answered(now);
        self.end_second_stage(now);
    }

    /// Whether a node whose row this is would take this one for its own: whoever wants this
    /// one is told of it at the end (P30).
    fn note_wanted(&mut self, from: P, part: Part, contacts: &[Contact<P>], rtts: &[u32]) {
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        let (Some(rtt), Part::Row(row)) = (peer.rtt.smoothed(), part) else {
            return;
        };
        let row = usize::from(row);
        if self.me.guid.shared_prefix(peer.contact.guid, self.base) != row {
            return;
        }
        let digit = self.me.guid.digit(row, self.base);
        let theirs = contacts
            .iter()
            .zip(rtts)
            .find(|(contact, _)| contact.guid.digit(row, self.base) == digit);
        peer.wants_me = theirs.is_none_or(|(_, theirs)| micros(rtt) < *theirs);
    }

    /// A node was named by one that is `asked` away and finds it `named` away.
    fn consider_nearer(
        &mut self,
        now: Time,
        contact: &Contact<P>,
        part: Part,
        asked: Duration,
        named: Duration,
    ) {
        if contact.guid == self.me.guid
            || self.peers.contains_key(&contact.peer)
            || self.is_failed(now, contact.guid)
        {
            return;
        }
        let guess = guess(asked, named);
        let (Some((row, column)), true) = (self.table.cell(contact.guid), self.may_measure())
        else {
            return;
        };
        let entry = self.table.get(row, column);
        if self.state == State::Active && !self.tuning {
            // In passing: who is asked is asked for nothing more, so that one list is no
            // reason for another.
            if entry.is_none_or(|entry| guess < entry.rtt()) {
                self.probe(now, contact, false, false);
            }
        } else if let Some(entry) = entry {
            if guess < entry.rtt().max(self.table.median(row).mul_f64(REACH)) {
                self.ask_for_state(now, contact, Part::Row(row as u8));
            }
        } else {
            self.ask_for_cell(now, contact);
        }
        if part == Part::Near && self.near.wants_hearsay(guess) {
            self.probe(now, contact, false, false);
        }
    }

    /// Whether hearsay is of use. Before the root has answered a joiner has no place to
    /// measure it by: what a seed knows of its own surroundings is far from the joiner's.
    pub(crate) fn may_measure(&self) -> bool {
        match self.state {
            State::Active => true,
            State::Joining => self.joining.answered,
            State::Left => false,
        }
    }

    /// When nobody is left to answer, the joiner's choice stands: those it chose are told
    /// how far away they are, so that they need not ask before they choose it (P30). Its
    /// leaf set knows.
    pub(crate) fn end_second_stage(&mut self, now: Time) {
        if !self.tuning || self.state != State::Active || self.probes_out() > 0 {
            return;
        }
        // As long as somebody nearer turns up, his neighbours may be nearer still: so even
        // a joiner whose seed was far away finds its own.
        let nearest = self.near.entries().first().map(|entry| &entry.contact);
        let unasked = nearest.filter(|nearest| {
            let peer = self.peers.get(&nearest.peer);
            peer.is_some_and(|peer| !peer.near_asked)
        });
        if let Some(nearest) = unasked.cloned() {
            self.ask_for_state(now, &nearest, Part::Near);
            return;
        }
        self.tuning = false;
        let told: Vec<Contact<P>> = self
            .peers
            .values()
            .filter(|peer| peer.wants_me || self.near.contains(peer.contact.guid))
            .filter(|peer| !self.leafs.contains(peer.contact.guid))
            .map(|peer| peer.contact.clone())
            .collect();
        for contact in told {
            self.tell_distance(now, &contact);
        }
        self.forget_strangers();
    }

    /// Says to a node how far away it is, so that it need not measure (P30).
    pub(crate) fn tell_distance(&mut self, now: Time, contact: &Contact<P>) {
        let Some(rtt) = self.rtt(contact.peer) else {
            return;
        };
        let announce = Message::Announce {
            sender: self.me.clone(),
            rtt_micros: micros(rtt),
        };
        self.send(now, contact, announce);
    }

    /// A node says that it is active, and how far away it finds this one. It is taken
    /// where it is nearer than what is there; the distance is its word until this node has
    /// measured it.
    pub(crate) fn handle_announce(
        &mut self,
        now: Time,
        from: P,
        sender: Contact<P>,
        rtt_micros: u32,
    ) {
        if sender.peer != from || sender.guid == self.me.guid || !self.may_measure() {
            return;
        }
        let rtt = Duration::from_micros(rtt_micros.into());
        if self.is_member(sender.guid)
            || self.table.wants(sender.guid, rtt)
            || self.near.wants(rtt)
            || self.leafs.wants(sender.guid)
        {
            self.note_alive_unseen(now, sender, true, Some(rtt_micros));
        }
    }
}
