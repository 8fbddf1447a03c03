//! Asking whether a node lives and who is around it; what its answer and its silence mean
//! (P8, P9, P13).

use std::time::Duration;

use guid::Guid;

use crate::peers::{MAX_PEERS, MAX_PROBES, PeerState, Probing};
use crate::rtt::Rtt;
use crate::timers::Timer;
use crate::{Contact, Message, Output, Overlay, Peer, State, Time, View};

impl<P: Peer> Overlay<P> {
    /// Asks a node unless it is being asked already. A full probe exchanges views.
    pub(crate) fn probe(&mut self, now: Time, contact: &Contact<P>, full: bool, announced: bool) {
        if contact.guid == self.me.guid {
            return;
        }
        if !self.has_room_for(contact.peer) {
            return;
        }
        let out = self
            .peers
            .values()
            .filter(|peer| peer.probe.is_some())
            .count();
        if out >= MAX_PROBES && !self.leafs.contains(contact.guid) {
            return;
        }
        let peer = self.peers.entry(contact.peer).or_insert_with(|| PeerState {
            contact: contact.clone(),
            rtt: Rtt::default(),
            heard: now,
            told: now,
            probe: None,
        });
        if peer.contact.addrs.0.is_empty() {
            peer.contact.addrs = contact.addrs.clone();
        }
        if peer.probe.is_some_and(|probe| probe.full || !full) {
            return;
        }
        self.send_probe(
            now,
            contact.peer,
            Probing {
                nonce: 0,
                sent: now,
                tries: 0,
                full,
                announced,
                outdated: false,
            },
        );
    }

    /// Tells a node what has changed: now, or as soon as it has answered what it is being
    /// asked, however much changes until then.
    pub(crate) fn tell_news(&mut self, now: Time, contact: &Contact<P>) {
        let peer = self.peers.get_mut(&contact.peer);
        match peer.and_then(|peer| peer.probe.as_mut()) {
            Some(probe) if probe.full => probe.outdated = true,
            _ => self.probe(now, contact, true, false),
        }
    }

    /// Asks a node whose silence is expected: it is not asked a second time.
    pub(crate) fn probe_once(&mut self, now: Time, contact: &Contact<P>) {
        self.probe(now, contact, true, true);
        if let Some(probe) = self
            .peers
            .get_mut(&contact.peer)
            .and_then(|p| p.probe.as_mut())
        {
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
        if let Some(peer) = self.peers.get_mut(&contact.peer) {
            peer.probe = None;
        }
        self.probe(now, contact, true, false);
    }

    fn send_probe(&mut self, now: Time, peer: P, probe: Probing) {
        let nonce = self.next_number();
        let view = probe.full.then(|| self.view(now));
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        // A repeated probe carries the view of its own moment.
        state.probe = Some(Probing {
            nonce,
            sent: now,
            outdated: false,
            ..probe
        });
        let contact = state.contact.clone();
        self.stats.probes += 1;
        self.timers
            .set(Timer::Probe(peer), now + self.config.probe_timeout);
        let message = match view {
            Some(view) => Message::Probe { nonce, view },
            None => Message::Ping { nonce },
        };
        self.send(now, &contact, message);
    }

    pub(crate) fn handle_probe(&mut self, now: Time, from: P, nonce: u64, view: View<P>) {
        if view.sender.peer != from || view.sender.guid == self.me.guid {
            return;
        }
        let reply = Message::ProbeReply {
            nonce,
            view: self.view(now),
        };
        self.send(now, &view.sender, reply);
        self.note_view(now, view);
    }

    pub(crate) fn handle_probe_reply(&mut self, now: Time, from: P, nonce: u64, view: View<P>) {
        let probe = self.peers.get(&from).and_then(|peer| peer.probe);
        if view.sender.peer == from && self.end_probe(now, from, nonce) {
            let sender = view.sender.clone();
            self.note_view(now, view);
            if probe.is_some_and(|probe| probe.outdated) {
                self.tell_news(now, &sender);
            }
        }
    }

    pub(crate) fn handle_ping(&mut self, now: Time, from: P, nonce: u64) {
        let active = self.has_place();
        // A peer that is only passing by is answered by its name alone: its connection is
        // open, so it needs no addresses.
        let to = match self.peers.get(&from) {
            Some(peer) => peer.contact.clone(),
            None => Contact {
                guid: Guid::default(),
                peer: from,
                addrs: crate::Addrs::default(),
            },
        };
        self.send(now, &to, Message::Pong { nonce, active });
    }

    pub(crate) fn handle_pong(&mut self, now: Time, from: P, nonce: u64, active: bool) {
        if !self.end_probe(now, from, nonce) {
            return;
        }
        let Some(contact) = self.peers.get(&from).map(|peer| peer.contact.clone()) else {
            return;
        };
        self.note_alive(now, contact, active);
        self.activate_if_answered(now);
    }

    /// Ends the probe an answer belongs to. Says whether there was one.
    fn end_probe(&mut self, now: Time, from: P, nonce: u64) -> bool {
        let Some(peer) = self.peers.get_mut(&from) else {
            return false;
        };
        let Some(probe) = peer.probe.filter(|probe| probe.nonce == nonce) else {
            return false;
        };
        // An answer names its probe, so a repeated one measures as well as the first. The
        // first to a stranger has waited for its connection too.
        peer.rtt.measured(now.since(probe.sent));
        peer.probe = None;
        self.location.pointers.note_rtt(from, now.since(probe.sent));
        self.timers.cancel(Timer::Probe(from));
        true
    }

    /// What a node says of itself and its surroundings, at first hand and at second.
    fn note_view(&mut self, now: Time, view: View<P>) {
        let View {
            sender,
            active,
            leafs,
            failed,
        } = view;
        self.note_alive(now, sender, active);
        for guid in failed {
            self.verify_failure(now, guid);
        }
        for leaf in &leafs {
            if self.leafs.wants(leaf.guid) && !self.is_failed(now, leaf.guid) {
                self.probe(now, leaf, true, false);
            }
        }
        self.consider_for_table(now, leafs.into_iter());
        self.activate_if_answered(now);
    }

    /// A node has spoken for itself: it may be used (P13).
    fn note_alive(&mut self, now: Time, contact: Contact<P>, active: bool) {
        self.failed.remove(&contact.guid);
        let healed = self.lost.remove(&contact.peer).is_some();
        if !self.has_room_for(contact.peer) {
            return;
        }
        let peer = self.peers.entry(contact.peer).or_insert_with(|| PeerState {
            contact: contact.clone(),
            rtt: Rtt::default(),
            heard: now,
            told: now,
            probe: None,
        });
        if !contact.addrs.0.is_empty() {
            peer.contact.addrs = contact.addrs.clone();
        }
        peer.heard = now;
        let contact = peer.contact.clone();
        if healed {
            // Who was cut off together is back together.
            for lost in self.lost.values().cloned().collect::<Vec<_>>() {
                self.probe_once(now, &lost.contact);
            }
        }
        if !active {
            if self.state == State::Joining {
                self.joining.note_seed(contact.peer, false);
            }
            return;
        }
        if self.state == State::Joining {
            self.note_active_seed(now, contact.peer);
            if !self.joining.answered {
                return;
            }
        }
        self.admit(now, &contact);
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
        let measured = self
            .peers
            .get(&contact.peer)
            .and_then(|peer| peer.rtt.smoothed());
        match measured {
            Some(rtt) => {
                self.table.insert(contact, rtt);
                self.near.insert(contact, rtt);
            }
            // It called first. One round trip tells how near it is.
            None => self.probe(now, contact, false, false),
        }
    }

    /// Hearsay for the table and the neighbourhood set: whoever would fill a gap is asked.
    pub(crate) fn consider_for_table(
        &mut self,
        now: Time,
        contacts: impl Iterator<Item = Contact<P>>,
    ) {
        for contact in contacts {
            let useful = self.table.is_empty_at(contact.guid)
                || (self.near.has_room() && !self.near.contains(contact.guid));
            if useful && contact.guid != self.me.guid && !self.is_failed(now, contact.guid) {
                self.probe(now, &contact, false, false);
            }
        }
    }

    /// Another node calls one dead: if it is a neighbour, ask it (P9).
    fn verify_failure(&mut self, now: Time, guid: Guid) {
        if !self.leafs.contains(guid) {
            return;
        }
        let member = self
            .leafs
            .members()
            .into_iter()
            .find(|leaf| leaf.guid == guid);
        if let Some(leaf) = member {
            self.probe(now, &leaf, true, true);
        }
    }

    pub(crate) fn handle_probe_timeout(&mut self, now: Time, peer: P) {
        let Some(probe) = self.peers.get(&peer).and_then(|state| state.probe) else {
            return;
        };
        if probe.tries >= self.config.probe_retries {
            self.declare_failed(now, peer, probe.announced);
        } else {
            self.send_probe(
                now,
                peer,
                Probing {
                    tries: probe.tries + 1,
                    ..probe
                },
            );
        }
    }

    /// A connection broke or none could be made. That is no proof of death, but reason to
    /// ask, and one silence the less to wait for when it was being asked.
    pub(crate) fn handle_peer_gone(&mut self, now: Time, peer: P) {
        self.hurry_asks(now, peer);
        let Some(state) = self.peers.get(&peer) else {
            return;
        };
        let contact = state.contact.clone();
        match state.probe {
            // Asked again at once, a dial that fails at once would be three in a row.
            Some(_) => self
                .timers
                .set(Timer::Probe(peer), now + self.config.probe_timeout / 4),
            None if self.is_member(contact.guid) => self.probe(now, &contact, true, false),
            None => {
                self.peers.remove(&peer);
            }
        }
        self.hurry_hops(now, peer);
    }

    /// How long a hop may take to acknowledge (P10).
    pub(crate) fn hop_timeout(&self, peer: P) -> Duration {
        let unmeasured = self.config.probe_timeout;
        let rtt = self
            .peers
            .get(&peer)
            .map(|peer| peer.rtt)
            .unwrap_or_default();
        rtt.timeout(self.config.min_rto, self.config.max_rto, unmeasured)
    }
}
