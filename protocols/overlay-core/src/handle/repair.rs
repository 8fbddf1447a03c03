//! What follows from a death: gaps, and how they are mended (P9, P15, P16; Pastry,
//! section 2.5).

use crate::peers::{Lost, MAX_LOST};
use crate::timers::Timer;
use crate::{Output, Overlay, Peer, Time};

impl<P: Peer> Overlay<P> {
    pub(crate) fn declare_failed(&mut self, now: Time, peer: P, announced: bool) {
        let contact = self.peers.get(&peer).map(|state| state.contact.clone());
        if let Some(contact) = contact.filter(|contact| self.is_member(contact.guid)) {
            self.stats.failures += 1;
            if self.lost.len() >= MAX_LOST {
                self.lost.pop_first();
            }
            self.lost.insert(peer, Lost { contact, tries: 0 });
        }
        self.remove_peer(now, peer, announced);
    }

    /// Takes a dead or departed node out of everything and mends the gaps (P15, P16).
    /// When it was `announced`, the others know; else they are told.
    pub(crate) fn remove_peer(&mut self, now: Time, peer: P, announced: bool) {
        let Some(state) = self.peers.remove(&peer) else {
            return;
        };
        self.timers.cancel(Timer::Probe(peer));
        let guid = state.contact.guid;
        self.joining.seeds.remove(&peer);
        let was_leaf = self.leafs.remove(guid);
        let cell = self.table.remove(guid);
        self.near.remove(guid);
        self.remember_failed(now, guid);
        if was_leaf {
            let left = vec![state.contact];
            self.outputs.push_back(Output::LeafSetChanged {
                joined: Vec::new(),
                left,
            });
            self.repair_leaf_set(now, announced);
        }
        if let Some((row, _)) = cell {
            self.ask_for_row(now, row);
        }
        self.note_gone(now, peer);
        self.reroute_around(now, peer);
        self.activate_if_answered(now);
    }

    /// The far ends name whoever comes next on their side; told of the death, every
    /// member looks for itself.
    fn repair_leaf_set(&mut self, now: Time, announced: bool) {
        let ends = [
            self.leafs.smaller().last().cloned(),
            self.leafs.larger().last().cloned(),
        ];
        let asked = if announced {
            ends.into_iter().flatten().collect()
        } else {
            self.leafs.members()
        };
        for leaf in asked {
            self.tell_news(now, &leaf);
        }
        // Where a whole side is gone the ends may know nobody beyond: the other sets do.
        for member in self.members() {
            if self.leafs.wants(member.guid) {
                self.probe(now, &member, true, announced);
            }
        }
    }

    /// Whether somebody who is in the leaf set, or would be, has yet to answer.
    pub(crate) fn asks_leafs(&self) -> bool {
        self.probes_out() > 0
            && self.peers.asked().any(|(peer, probe)| {
                let guid = peer.contact.guid;
                probe.is_full() && (self.leafs.contains(guid) || self.leafs.wants(guid))
            })
    }

    /// Once everyone has answered who could fill a gap, the leaf set is what it should
    /// be (P15).
    pub(crate) fn settle_leaf_set(&mut self, now: Time) {
        if !self.asks_leafs() {
            self.leafs.settle();
            self.release_kept(now);
        }
    }
}
