//! What follows from a death: gaps, and how they are mended (P9, P15, P16; Pastry,
//! section 2.5).

use guid::Guid;

use crate::timers::Timer;
use crate::{Contact, Output, Overlay, Peer, State, Time};

impl<P: Peer> Overlay<P> {
    pub(crate) fn declare_failed(&mut self, now: Time, peer: P, announced: bool) {
        let Some(contact) = self.peers.get(&peer).map(|state| state.contact.clone()) else {
            return;
        };
        let (guid, is_member) = (contact.guid, self.is_member(contact.guid));
        self.note_lost(now, contact, announced);
        if is_member {
            self.stats.failures += 1;
            self.pace.note_death(now);
        }
        // To call one dead that was only named takes a network that says so as well: a
        // joiner's first questions wait for connections.
        let is_seed = self.state == State::Joining && !self.joining.answered;
        self.remove_peer(now, peer, announced);
        if is_seed {
            self.failed.remove(&guid);
        }
    }

    /// Takes a dead or departed node out of everything and mends the gaps (P15, P16).
    /// When it was `announced`, the others know; else they are told.
    pub(crate) fn remove_peer(&mut self, now: Time, peer: P, announced: bool) {
        let Some(state) = self.peers.remove(&peer) else {
            return;
        };
        self.timers.cancel(Timer::Probe(peer));
        let guid = state.contact.guid;
        // Others were not asked because it would have been closer.
        let stood_before_others = state
            .probing()
            .is_some_and(|probe| probe.is_full() && !probe.announced);
        self.joining.seeds.remove(&peer);
        let sides = self.leafs.sides_of(guid);
        // Those it was told of before it died itself have nobody who tells of them.
        let unfinished = self
            .failed
            .keys()
            .any(|dead| *dead != guid && self.watcher_of(*dead).is_some_and(|w| w.peer == peer));
        let was_leaf = self.leafs.remove(guid);
        let cell = self.table.remove(guid);
        let was_near = self.near.remove(guid);
        self.remember_failed(now, guid);
        if was_leaf {
            self.leaf_died = Some(now);
            let left = vec![state.contact];
            self.outputs.push_back(Output::LeafSetChanged {
                joined: Vec::new(),
                left,
            });
            if !announced || unfinished || self.watches(guid) {
                self.announce_death(now, guid);
            }
            self.mend(now, sides);
        } else if (stood_before_others || !announced) && self.leafs.wants(guid) {
            self.look_behind(now);
        }
        if let Some((row, _)) = cell {
            self.ask_for_row(now, row);
        }
        if was_near {
            self.ask_for_neighbours(now);
        }
        self.note_gone(now, peer);
        self.reroute_around(now, peer);
        self.activate_if_answered(now);
        self.continue_near_search(now);
    }

    /// The left neighbour of a dead node is the one who watched it, and tells everyone,
    /// also if another told it. Whoever else finds a node dead tells its left neighbour,
    /// who looks for itself: else each of a leaf set would tell each other.
    fn announce_death(&mut self, now: Time, dead: Guid) {
        if let Some(watcher) = self.watcher_of(dead) {
            self.tell_news(now, &watcher);
            return;
        }
        for leaf in self.leafs.members() {
            self.tell_news(now, &leaf);
        }
    }

    /// The leaf that stands next to a node on its left, if that is not this node itself.
    fn watcher_of(&self, guid: Guid) -> Option<Contact<P>> {
        let mine = self.me.guid.clockwise_to(guid);
        let leafs = self.leafs.smaller().iter().chain(self.leafs.larger());
        let before = leafs.filter(|leaf| leaf.guid != guid && leaf.guid.clockwise_to(guid) < mine);
        before
            .min_by_key(|leaf| leaf.guid.clockwise_to(guid))
            .cloned()
    }

    /// Whether this node is the left neighbour of another (P9).
    pub(crate) fn watches(&self, guid: Guid) -> bool {
        self.watcher_of(guid).is_none()
    }

    /// A leaf is silent soon after another died: it may be several that died at once, and
    /// to find out one after the other would take a probe's whole time for each.
    pub(crate) fn ask_all_if_more_died(&mut self, now: Time, silent: P) {
        let silent = self.peers.get(&silent).map(|peer| peer.contact.guid);
        let soon = self.silence();
        let lately = |at: Option<Time>| at.is_some_and(|at| now.since(at) < soon);
        // Once in that time: where messages are lost, of all those asked some are silent though
        // they live, and all would be asked again and again.
        if !lately(self.leaf_died) || lately(self.asked_all) {
            return;
        }
        if !silent.is_some_and(|guid| self.leafs.contains(guid)) {
            return;
        }
        self.asked_all = Some(now);
        for leaf in self.leafs.members() {
            self.probe(now, &leaf, true, false);
        }
    }

    /// The far end of a side that lost somebody, smaller or larger, names whoever comes
    /// next; so may the other sets, where the ends know nobody beyond.
    fn mend(&mut self, now: Time, (smaller, larger): (bool, bool)) {
        let (below, above) = self.leafs.ends();
        let below = below.filter(|_| smaller).cloned();
        let above = above.filter(|_| larger).cloned();
        for end in below.into_iter().chain(above) {
            self.tell_news(now, &end);
        }
        let members = self.members();
        self.ask_leafs(now, &members);
    }

    /// A candidate was no neighbour after all: those behind it are named again.
    pub(crate) fn look_behind(&mut self, now: Time) {
        self.mend(now, (true, true));
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
