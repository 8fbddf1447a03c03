//! Asking whether a node lives and who is around it; what its answer and its silence mean
//! (P8, P9, P13).

use std::time::Duration;

use guid::Guid;

use crate::message::Part;
use crate::peers::{Asks, HowLost, MAX_PEERS, MAX_PROBES, Probing};
use crate::timers::Timer;
use crate::{Config, Contact, Message, Output, Overlay, Peer, State, Time, View};

impl<P: Peer> Overlay<P> {
    /// Asks a node unless it is being asked already. A full probe exchanges views.
    pub(crate) fn probe(&mut self, now: Time, contact: &Contact<P>, full: bool, announced: bool) {
        let asks = if full { Asks::View } else { Asks::Life };
        self.start_probe(now, contact, asks, announced);
    }

    /// Asks a node for a part of its state, unless it is being asked something already.
    pub(crate) fn ask_for_state(&mut self, now: Time, contact: &Contact<P>, part: Part) {
        self.start_probe(now, contact, Asks::Part(part), false);
    }

    fn start_probe(&mut self, now: Time, contact: &Contact<P>, asks: Asks, announced: bool) {
        if contact.guid == self.me.guid {
            return;
        }
        if !self.has_room_for(contact.peer) {
            return;
        }
        // A neighbour that is not asked would leave a gap that nobody knows of.
        let would_be = asks == Asks::View && self.leafs.wants(contact.guid);
        let most = match would_be {
            true => MAX_PROBES + 2 * self.config.leaf_set,
            false => MAX_PROBES,
        };
        if self.probes_out() >= most && !self.leafs.contains(contact.guid) {
            return;
        }
        let peer = self.peers.meet(now, contact);
        if peer.contact.addrs.is_empty() {
            peer.contact.addrs = contact.addrs.clone();
        }
        let asked = peer.probing();
        if asked.is_some_and(|probe| probe.is_full() || asks != Asks::View) {
            // Others stand behind it from now on, who are asked if it is silent (P15).
            if asks == Asks::View
                && !announced
                && let Some(probe) = self.peers.probing_mut(&contact.peer)
            {
                probe.announced = false;
            }
            return;
        }
        self.send_probe(
            now,
            contact.peer,
            Probing {
                nonce: 0,
                sent: now,
                earlier: [None; 2],
                tries: 0,
                asks,
                announced,
                outdated: false,
                was_outdated: false,
            },
        );
    }

    /// How many nodes have yet to answer.
    pub(crate) fn probes_out(&self) -> usize {
        self.peers.asked_count()
    }

    /// Tells a node what has changed: now, or as soon as it has answered what it is being
    /// asked, however much changes until then.
    pub(crate) fn tell_news(&mut self, now: Time, contact: &Contact<P>) {
        match self.peers.probing_mut(&contact.peer) {
            Some(probe) if probe.is_full() => probe.outdated = true,
            _ => self.probe(now, contact, true, false),
        }
    }

    /// Asks a node whose silence is expected: it is not asked a second time.
    pub(crate) fn probe_once(&mut self, now: Time, contact: &Contact<P>) {
        let asked = self
            .peers
            .probing_mut(&contact.peer)
            .is_some_and(|probe| probe.is_full());
        self.probe(now, contact, true, true);
        // Who is being asked in earnest has all tries.
        if let Some(probe) = self.peers.probing_mut(&contact.peer).filter(|_| !asked) {
            probe.tries = self.config.probe_retries;
        }
    }

    /// Whether a peer is known or can be. Strangers make room for it.
    fn has_room_for(&mut self, peer: P) -> bool {
        if self.peers.contains_key(&peer) || self.peers.len() < MAX_PEERS {
            return true;
        }
        self.forget_strangers();
        self.peers.len() < MAX_PEERS
    }

    /// Asks a node with the view of this moment, whatever it was asked before.
    pub(crate) fn probe_anew(&mut self, now: Time, contact: &Contact<P>) {
        self.peers.stop_asking(&contact.peer);
        self.timers.cancel(Timer::Probe(contact.peer));
        self.probe(now, contact, true, false);
    }

    fn send_probe(&mut self, now: Time, peer: P, probe: Probing) {
        let nonce = self.next_number();
        let message = match probe.asks {
            Asks::View => Message::Probe {
                nonce,
                view: self.view(now, peer),
            },
            Asks::Life => Message::Ping { nonce },
            Asks::Part(part) => Message::StateRequest { nonce, part },
        };
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        state.near_asked |= probe.asks == Asks::Part(Part::Near);
        let contact = state.contact.clone();
        let probe = Probing {
            nonce,
            sent: now,
            ..probe
        };
        self.peers.start_asking(&peer, probe);
        self.stats.probes += 1;
        let wait = self.probe_timeout(peer) * 2u32.pow(probe.tries.min(6));
        self.timers.set(
            Timer::Probe(peer),
            now + wait.min(self.config.probe_timeout),
        );
        self.send(now, &contact, message);
    }

    pub(crate) fn handle_probe(&mut self, now: Time, from: P, nonce: u64, view: View<P>) {
        if view.sender.peer != from || view.sender.guid == self.me.guid {
            return;
        }
        let mut mine = self.view(now, from);
        // It need not be told what it says itself.
        mine.rtt_micros = mine.rtt_micros.or(view.rtt_micros);
        let reply = Message::ProbeReply { nonce, view: mine };
        self.send(now, &view.sender, reply);
        let (sender, active) = (view.sender.clone(), view.active);
        self.note_view(now, view);
        if !active && self.is_member(sender.guid) {
            self.note_inactive(now, &sender);
        }
        self.activate_if_answered(now);
    }

    pub(crate) fn handle_probe_reply(&mut self, now: Time, from: P, nonce: u64, view: View<P>) {
        if view.sender.peer != from {
            return;
        }
        let Some(probe) = self.end_probe(now, from, nonce, |asks| asks == Asks::View) else {
            return;
        };
        let (sender, active) = (view.sender.clone(), view.active);
        let knows_distance = view.rtt_micros.is_some();
        self.note_view(now, view);
        if !active {
            self.note_inactive(now, &sender);
        }
        self.activate_if_answered(now);
        // A joiner's second question says it anyway.
        if !knows_distance && self.has_place() && self.leafs.contains(sender.guid) {
            self.tell_distance(now, &sender);
        }
        if probe.outdated && active {
            self.tell_news(now, &sender);
        }
        self.continue_near_search(now);
        self.end_second_stage(now);
    }

    /// A node has answered that it has no place on the ring. Was it a neighbour, it has
    /// been restarted, and its place is as empty as a dead one's until it says that it has
    /// joined. Was it asked because others name it, whoever stands behind it was not asked
    /// for its sake: they are looked for anew.
    fn note_inactive(&mut self, now: Time, contact: &Contact<P>) {
        if self.state != State::Active && !self.joining.answered {
            return;
        }
        let found = self.peers.get(&contact.peer).is_some_and(|peer| peer.found);
        if self.is_member(contact.guid) {
            self.note_restarted(now, contact.clone());
            self.remove_peer(now, contact.peer, true);
        } else if self.leafs.wants(contact.guid) && (!found || !self.leafs.is_settled()) {
            self.remember_failed(now, contact.guid);
            if self.state == State::Joining {
                self.joining.note_inactive(contact.guid);
            }
            self.look_behind(now);
        }
    }

    pub(crate) fn handle_ping(&mut self, now: Time, from: P, nonce: u64) {
        let active = self.has_place();
        // A peer that is only passing by is answered too.
        self.send_back(now, from, Message::Pong { nonce, active });
    }

    pub(crate) fn handle_pong(&mut self, now: Time, from: P, nonce: u64, active: bool) {
        // Who has no place has no view and no rows either.
        let fits = |asks| match asks {
            Asks::Life => true,
            Asks::Part(_) => !active,
            Asks::View => false,
        };
        if self.end_probe(now, from, nonce, fits).is_none() {
            return;
        }
        let Some(contact) = self.peers.get(&from).map(|peer| peer.contact.clone()) else {
            return;
        };
        self.note_alive_unseen(now, contact.clone(), active, None);
        if !active {
            self.note_inactive(now, &contact);
        }
        self.activate_if_answered(now);
        self.continue_near_search(now);
        self.end_second_stage(now);
    }

    /// Ends the probe an answer belongs to, and says which it was. An answer to another
    /// question than was asked is none (P38).
    pub(crate) fn end_probe(
        &mut self,
        now: Time,
        from: P,
        nonce: u64,
        fits: impl FnOnce(Asks) -> bool,
    ) -> Option<Probing> {
        let peer = self.peers.get_mut(&from)?;
        let mut probe = peer.probing()?;
        let sent = probe.sent_with(nonce).filter(|_| fits(probe.asks))?;
        // A repeated probe carries the view of its own moment, and may be lost.
        probe.outdated |= probe.was_outdated && nonce != probe.nonce;
        // An answer names its try, so a repeated one measures as well as the first. The
        // first to a stranger has waited for its connection too.
        peer.rtt.measured(now.since(sent));
        self.peers.stop_asking(&from);
        self.location.pointers.note_rtt(from, now.since(sent));
        self.timers.cancel(Timer::Probe(from));
        Some(probe)
    }

    /// What a node says of itself and its surroundings, at first hand and at second.
    fn note_view(&mut self, now: Time, view: View<P>) {
        let View {
            sender,
            active,
            leafs,
            failed,
            rtt_micros,
            probe_period_ms,
        } = view;
        let (peer, sender_guid) = (sender.peer, sender.guid);
        self.note_alive(now, sender, active, rtt_micros);
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.period_ms = probe_period_ms;
        }
        let is_leaf = self.leafs.contains(sender_guid);
        for guid in failed {
            self.verify_failure(now, guid, is_leaf);
        }
        self.ask_leafs(now, &leafs);
        if is_leaf {
            self.ask_lost_named(now, &leafs);
        }
        if active && self.state == State::Joining && !self.joining.answered {
            self.note_seed_leafs(&leafs);
        }
        if active {
            self.look_for_place(now, peer);
            self.ask_unnamed(now, sender_guid, &leafs);
        }
        self.consider_for_table(now, leafs.into_iter());
    }

    /// Hearsay for the leaf set: whoever would find a place is asked. Those who are being
    /// asked count as if they had answered: who stands behind them has no place unless one
    /// of them is dead. Then the answers to a joiner's announcement name him again, and
    /// those to the questions of a node that mends a gap.
    pub(crate) fn ask_leafs(&mut self, now: Time, named: &[Contact<P>]) {
        if !self.may_measure() {
            return;
        }
        let wanted: Vec<Contact<P>> = named
            .iter()
            .filter(|leaf| self.leafs.wants(leaf.guid) && !self.is_failed(now, leaf.guid))
            .cloned()
            .collect();
        if wanted.is_empty() {
            return;
        }
        // Those whose silence is expected stand in nobody's way.
        let asked = self.peers.asked().filter(|(peer, probe)| {
            probe.is_full() && !probe.announced && !self.is_failed(now, peer.contact.guid)
        });
        let asked: Vec<Guid> = asked.map(|(peer, _)| peer.contact.guid).collect();
        for leaf in self.leafs.best_with(&asked, wanted) {
            self.probe(now, &leaf, true, false);
        }
    }

    /// A node has spoken for itself: it may be used (P13). It may have said how far away
    /// it finds this one.
    pub(crate) fn note_alive(
        &mut self,
        now: Time,
        contact: Contact<P>,
        active: bool,
        rtt_micros: Option<u32>,
    ) {
        // Who has been restarted has no place yet, and is not asked until it has.
        let back = active.then(|| self.lost.remove(&contact.peer)).flatten();
        if active {
            self.failed.remove(&contact.guid);
        }
        if !self.has_room_for(contact.peer) {
            return;
        }
        let peer = self.peers.meet(now, &contact);
        if !contact.addrs.is_empty() {
            peer.contact.addrs = contact.addrs.clone();
        }
        peer.heard = now;
        if let Some(micros) = rtt_micros {
            peer.rtt.told(Duration::from_micros(micros.into()));
        }
        let contact = peer.contact.clone();
        if back.is_some_and(|back| !matches!(back.how, HowLost::Left | HowLost::Restarted)) {
            // Who was cut off together is back together.
            let others = self.lost.values();
            let others = others.filter(|lost| lost.how != HowLost::Left).cloned();
            for lost in others.collect::<Vec<_>>() {
                self.probe_once(now, &lost.contact);
            }
        }
        if self.state == State::Joining && self.note_measured(&contact, active) {
            return;
        }
        if !active {
            if self.state == State::Joining {
                self.joining.note_seed(contact.peer, false);
            }
            return;
        }
        if self.state == State::Joining && !self.joining.answered {
            self.note_active_seed(now, contact.peer);
            return;
        }
        self.admit(now, &contact);
    }

    /// As [`Self::note_alive`], of a node that has not seen this one's view with that:
    /// if it is a neighbour, it may not know that this one is (P8).
    pub(crate) fn note_alive_unseen(
        &mut self,
        now: Time,
        contact: Contact<P>,
        active: bool,
        rtt_micros: Option<u32>,
    ) {
        let known = self.leafs.contains(contact.guid);
        self.note_alive(now, contact.clone(), active, rtt_micros);
        if !known && self.has_place() && self.leafs.contains(contact.guid) {
            self.probe(now, &contact, true, false);
        }
    }

    /// A leaf that a neighbour does not name has died without a word of it having come
    /// here, or has come and is not known there yet. If nothing was heard from it for
    /// long, it is asked.
    fn ask_unnamed(&mut self, now: Time, sender: Guid, named: &[Contact<P>]) {
        if self.state != State::Active {
            return;
        }
        let quiet = self.probe_period().max(self.config.heartbeat * 2);
        for leaf in self.leafs.unnamed_by(sender, named) {
            let heard = self.peers.get(&leaf.peer).map(|peer| peer.heard);
            if heard.is_none_or(|heard| now.since(heard) > quiet) {
                self.probe(now, &leaf, false, true);
            }
        }
    }

    /// Puts a living, active node wherever it belongs.
    fn admit(&mut self, now: Time, contact: &Contact<P>) {
        let before = self.leafs.members();
        if self.leafs.insert(contact) {
            let after = self.leafs.members();
            let left = before
                .into_iter()
                .filter(|old| !self.leafs.contains(old.guid))
                .collect();
            debug_assert!(!after.is_empty(), "a leaf was just taken in");
            self.outputs.push_back(Output::LeafSetChanged {
                joined: vec![contact.clone()],
                left,
            });
            self.note_sets_changed(now);
        }
        self.admit_by_distance(contact);
    }

    /// Puts it into the table and the neighbourhood set, if its distance is known and it is
    /// near enough.
    pub(crate) fn admit_by_distance(&mut self, contact: &Contact<P>) {
        let measured = self
            .peers
            .get(&contact.peer)
            .and_then(|peer| peer.rtt.smoothed());
        // Who called first says how near it is.
        if let Some(rtt) = measured {
            let displaced = [
                self.table.insert(contact, rtt),
                self.near.insert(contact, rtt),
            ];
            for displaced in displaced.into_iter().flatten() {
                // Who was found too far away is remembered for a while, or he would be
                // asked again whenever he is named.
                if displaced.guid != contact.guid {
                    self.forget_displaced(&displaced);
                }
            }
        }
    }

    /// Who had to make room and stands in no other set is a stranger. While the joiner
    /// still compares it keeps him, so that he is not asked again.
    fn forget_displaced(&mut self, displaced: &Contact<P>) {
        let comparing = self.state != State::Active || self.tuning;
        let asked = self.peers.get(&displaced.peer);
        if !comparing
            && !self.is_member(displaced.guid)
            && asked.is_some_and(|peer| peer.probing().is_none())
        {
            self.peers.remove(&displaced.peer);
        }
    }

    /// Hearsay for the table and the neighbourhood set: whoever would fill a gap is asked,
    /// one for each cell.
    pub(crate) fn consider_for_table(
        &mut self,
        now: Time,
        contacts: impl Iterator<Item = Contact<P>>,
    ) {
        if !self.may_measure() {
            return;
        }
        // A joiner gets its neighbours named by its seed, not by its leaf set.
        let active = self.state == State::Active;
        for contact in contacts {
            if contact.guid == self.me.guid || self.is_failed(now, contact.guid) {
                continue;
            }
            let fills_cell = self.table.is_empty_at(contact.guid) && !self.asks_cell(contact.guid);
            let fills_near = active && self.near.is_sparse() && !self.near.contains(contact.guid);
            if fills_cell || fills_near {
                self.probe(now, &contact, false, false);
            }
        }
    }

    /// Whether somebody who fits the same cell is being asked.
    pub(crate) fn asks_cell(&self, guid: Guid) -> bool {
        let cell = self.table.cell(guid);
        self.probes_out() > 0
            && self
                .peers
                .asked()
                .any(|(peer, _)| self.table.cell(peer.contact.guid) == cell)
    }

    /// Another node calls one dead: if it is a neighbour, ask it (P9). Where the other is
    /// none itself, not if the one called dead has just spoken: a stranger that calls all of a
    /// leaf set dead again and again has each of them asked no oftener than that.
    fn verify_failure(&mut self, now: Time, guid: Guid, by_leaf: bool) {
        if !self.leafs.contains(guid) {
            return;
        }
        let member = self
            .leafs
            .members()
            .into_iter()
            .find(|leaf| leaf.guid == guid);
        let Some(leaf) = member else {
            return;
        };
        let heard = self.peers.get(&leaf.peer).map(|peer| peer.heard);
        let quiet = heard.is_none_or(|heard| now.since(heard) >= self.config.probe_timeout / 2);
        if by_leaf || quiet {
            self.probe(now, &leaf, true, true);
        }
    }

    pub(crate) fn handle_probe_timeout(&mut self, now: Time, peer: P) {
        let Some(probe) = self.peers.get(&peer).and_then(|state| state.probing()) else {
            return;
        };
        if probe.tries >= self.config.probe_retries {
            self.declare_failed(now, peer, probe.announced);
            self.end_second_stage(now);
        } else {
            self.send_probe(now, peer, probe.again());
            if probe.tries + 1 == self.config.probe_retries {
                self.ask_all_if_more_died(now, peer);
            }
        }
    }

    /// A connection broke or none could be made. That is no proof of death, but reason to
    /// ask, and one silence the less to wait for when it was being asked.
    pub(crate) fn handle_peer_gone(&mut self, now: Time, peer: P) {
        // Who leaves closes its connections, and hears of each.
        if self.state == State::Left {
            return;
        }
        self.hurry_asks(now, peer);
        let Some(state) = self.peers.get(&peer) else {
            return;
        };
        let contact = state.contact.clone();
        match state.probing() {
            // Asked again at once, a dial that fails at once would be three in a row.
            Some(_) => self
                .timers
                .set_sooner(Timer::Probe(peer), now + self.config.probe_timeout / 4),
            None if self.is_member(contact.guid) => self.probe(now, &contact, true, false),
            None => {
                self.peers.remove(&peer);
                self.joining.seeds.remove(&peer);
            }
        }
        self.hurry_hops(now, peer);
    }

    /// How long a hop may take to acknowledge (P10).
    pub(crate) fn hop_timeout(&self, peer: P) -> Duration {
        self.timeout(peer, self.config.min_rto, self.config.max_rto)
    }

    /// How long the first answer to a probe may take.
    fn probe_timeout(&self, peer: P) -> Duration {
        let Config {
            min_probe_timeout,
            probe_timeout,
            ..
        } = *self.config;
        self.timeout(peer, min_probe_timeout.min(probe_timeout), probe_timeout)
    }

    fn timeout(&self, peer: P, shortest: Duration, longest: Duration) -> Duration {
        let rtt = self.peers.get(&peer).map(|peer| peer.rtt);
        rtt.unwrap_or_default()
            .timeout(shortest, longest, self.config.probe_timeout)
    }
}
