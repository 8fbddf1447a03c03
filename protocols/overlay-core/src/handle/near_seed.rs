//! Looking for a near seed before joining by it (P39; Castro, Druschel, Hu & Rowstron,
//! "Exploiting network proximity in peer-to-peer overlay networks", "node joining").

use std::time::Duration;

use guid::Guid;

use crate::handle::tune::guess;
use crate::message::Part;
use crate::timers::Timer;
use crate::{Contact, Overlay, Peer, State, Time};

/// Rows asked for in one search at most: each once on the way up, and the first again
/// while somebody nearer turns up.
const MAX_ROWS: u32 = 24;

/// Nodes measured that are remembered.
const MAX_MEASURED: usize = 256;

/// Contacts of a row considered: more than any row has.
const MAX_CANDIDATES: usize = 64;

/// A search under way.
#[derive(Clone, Debug)]
pub(crate) struct NearSearch<P> {
    /// The row that was asked for last; `None` before the first.
    row: Option<usize>,
    /// Who was last asked for the first row.
    first_row_of: Option<P>,
    /// Rows asked for so far.
    rows: u32,
    /// Those who were asked and whose silence or answer is waited for.
    waiting: Vec<P>,
}

impl<P: Peer> Overlay<P> {
    /// Begins a search at the nearest seed, if it is far enough away and the network large
    /// enough that somebody else may be much nearer. Says whether it did.
    pub(crate) fn begin_near_search(&mut self, now: Time, seed: &Contact<P>) -> bool {
        let near = self.rtt(seed.peer);
        if self.joining.has_searched
            || near.is_none_or(|rtt| rtt <= self.config.near_seed)
            || self.joining.named.len() < self.config.leaf_set
        {
            return false;
        }
        self.joining.has_searched = true;
        let sample = self.joining.named.clone();
        let waiting = sample.iter().map(|contact| contact.peer).collect();
        self.joining.measured = vec![seed.clone()];
        self.joining.search = Some(Box::new(NearSearch {
            row: None,
            first_row_of: None,
            rows: 0,
            waiting,
        }));
        // However many are silent, a joiner does not search for ever.
        self.timers
            .set(Timer::Seed, now + self.config.request_timeout);
        // The members of a leaf set stand anywhere: a random sample of the network.
        for contact in sample {
            self.probe(now, &contact, false, false);
        }
        self.continue_near_search(now);
        true
    }

    /// An active node names its leaf set to a joiner that has not asked for its way in.
    pub(crate) fn note_seed_leafs(&mut self, leafs: &[Contact<P>]) {
        let named = &mut self.joining.named;
        for leaf in leafs {
            let new = leaf.guid != self.me.guid && named.iter().all(|one| one.guid != leaf.guid);
            if new && named.len() < self.config.leaf_set {
                named.push(leaf.clone());
            }
        }
    }

    /// A node has answered a joiner. Says whether that is one which a search has found, and
    /// no seed.
    pub(crate) fn note_measured(&mut self, contact: &Contact<P>, active: bool) -> bool {
        if self.joining.answered || !self.joining.has_searched {
            return false;
        }
        let measured = &mut self.joining.measured;
        if !active {
            measured.retain(|known| known.peer != contact.peer);
        } else if self.joining.search.is_some()
            && measured.iter().all(|known| known.peer != contact.peer)
            && measured.len() < MAX_MEASURED
        {
            measured.push(contact.clone());
        }
        !self.joining.seeds.contains_key(&contact.peer)
    }

    /// The nearest of those who live and have said that they are active.
    fn nearest_measured(&self) -> Option<Contact<P>> {
        let measured = self.joining.measured.iter();
        let near = measured.filter_map(|contact| Some((self.rtt(contact.peer)?, contact)));
        let nearest = near.min_by_key(|(rtt, contact)| (*rtt, contact.guid));
        nearest.map(|(_, contact)| contact.clone())
    }

    /// The nearest has named a row of its table: whoever may be nearer is measured.
    pub(crate) fn search_row(&mut self, now: Time, from: P, contacts: &[Contact<P>], rtts: &[u32]) {
        let asked = self.rtt(from).unwrap_or_default();
        let nearest = self.nearest_measured();
        let nearest = nearest.and_then(|nearest| self.rtt(nearest.peer));
        let nearest = nearest.unwrap_or(asked);
        for (contact, rtt) in contacts.iter().zip(rtts).take(MAX_CANDIDATES) {
            let named = Duration::from_micros((*rtt).into());
            if contact.guid == self.me.guid
                || self.peers.contains_key(&contact.peer)
                || self.is_failed(now, contact.guid)
                || guess(asked, named) >= nearest
            {
                continue;
            }
            self.probe(now, contact, false, false);
            if let Some(search) = &mut self.joining.search {
                search.waiting.push(contact.peer);
            }
        }
    }

    /// When all have answered: up the table of the nearest, row by row, and on while its
    /// first row names somebody nearer.
    pub(crate) fn continue_near_search(&mut self, now: Time) {
        if self.state != State::Joining {
            return;
        }
        let Some(search) = &mut self.joining.search else {
            return;
        };
        let peers = &self.peers;
        search.waiting.retain(|peer| {
            let asked = peers.get(peer);
            asked.is_some_and(|peer| peer.probing().is_some())
        });
        if !search.waiting.is_empty() {
            return;
        }
        let (last, first_row_of) = (search.row, search.first_row_of);
        search.rows += 1;
        let rows = search.rows;
        let nearest = self.nearest_measured().filter(|_| rows <= MAX_ROWS);
        let next = nearest.and_then(|nearest| {
            let row = match last {
                None => depth(nearest.guid, &self.joining.named, self.base),
                Some(0) if first_row_of == Some(nearest.peer) => return None,
                Some(row) => row.saturating_sub(1),
            };
            Some((nearest, row))
        });
        let Some((nearest, row)) = next else {
            self.end_near_search(now);
            return;
        };
        if let Some(search) = &mut self.joining.search {
            search.row = Some(row);
            if row == 0 {
                search.first_row_of = Some(nearest.peer);
            }
            search.waiting.push(nearest.peer);
        }
        self.ask_for_state(now, &nearest, Part::Row(row as u8));
        let asked = self.peers.get(&nearest.peer);
        if asked.is_none_or(|peer| peer.probing().is_none()) {
            self.end_near_search(now);
        }
    }

    /// The nearest is a seed like those that were found.
    pub(crate) fn end_near_search(&mut self, now: Time) {
        if self.joining.search.take().is_none() {
            return;
        }
        self.timers.cancel(Timer::Seed);
        if let Some(nearest) = self.nearest_measured() {
            self.joining.note_best_seed(nearest.peer);
        }
        self.handle_seed_chosen(now);
    }
}

/// The last row of a node's table that has entries, as far as its neighbours tell.
fn depth<P: Peer>(guid: Guid, named: &[Contact<P>], base: guid::Base) -> usize {
    let others = named.iter().filter(|one| one.guid != guid);
    let shared = others.map(|one| one.guid.shared_prefix(guid, base));
    // Whoever names a neighbour that shares all digits does not keep it from the first row.
    shared.max().unwrap_or(0).min(MAX_ROWS as usize / 2)
}
