//! What is known of each peer, at first hand.

use crate::message::Part;
use crate::rtt::Rtt;
use crate::{Contact, Peer, Time};

/// Most peers something is going on with: every row of a table in the largest network
/// simulated, the leaf and neighbourhood sets, and as many candidates.
pub(crate) const MAX_PEERS: usize = 2048;

/// Peers for whom room is made at a time.
const ROOM: usize = 16;

/// Most probes out at a time, so that a long list of strangers is no flood.
pub(crate) const MAX_PROBES: usize = 256;

/// Most nodes asked again and again whether they are back: a few leaf sets.
pub(crate) const MAX_LOST: usize = 64;

/// A neighbour that is gone and may be back one day: it died, left, or is only cut off.
#[derive(Clone, Debug)]
pub(crate) struct Lost<P> {
    pub(crate) contact: Contact<P>,
    /// When it was lost.
    pub(crate) since: Time,
    pub(crate) how: HowLost,
    /// From when on a neighbour's word that it lives is worth a question.
    pub(crate) hearsay_from: Time,
    /// When it is asked next whether it is back, and how often it was.
    pub(crate) due: Time,
    pub(crate) tries: u32,
}

/// How a node was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HowLost {
    /// It was a leaf and was found dead: others may be cut off with it.
    Dead,
    /// It was a leaf and said that it has no place now: it is about to have one.
    Restarted,
    /// It was a leaf and said that it leaves. It says so too when it is back.
    Left,
    /// It was named to a node alone, and is silent.
    Named,
    /// The same, for so long that nobody reckons with it any more.
    Absent,
}

/// Everyone something is going on with, by name.
///
/// One sorted list instead of a tree: a node looks its peers up far more often than it
/// meets new ones, and it has no room to spare between them.
#[derive(Clone, Debug)]
pub(crate) struct Peers<P> {
    /// In order.
    all: Vec<PeerState<P>>,
    /// How many are being asked.
    asked: usize,
}

impl<P> Default for Peers<P> {
    fn default() -> Self {
        Peers {
            all: Vec::new(),
            asked: 0,
        }
    }
}

impl<P: Peer> Peers<P> {
    fn find(&self, peer: &P) -> Result<usize, usize> {
        self.all
            .binary_search_by_key(peer, |state| state.contact.peer)
    }

    pub(crate) fn get(&self, peer: &P) -> Option<&PeerState<P>> {
        self.find(peer).ok().map(|at| &self.all[at])
    }

    pub(crate) fn get_mut(&mut self, peer: &P) -> Option<&mut PeerState<P>> {
        self.find(peer).ok().map(|at| &mut self.all[at])
    }

    pub(crate) fn contains_key(&self, peer: &P) -> bool {
        self.find(peer).is_ok()
    }

    /// The peer's state, made if there is none.
    pub(crate) fn meet(&mut self, now: Time, contact: &Contact<P>) -> &mut PeerState<P> {
        let at = self.find(&contact.peer).unwrap_or_else(|at| {
            let state = PeerState {
                contact: contact.clone(),
                rtt: Rtt::default(),
                heard: now,
                told: now,
                probe: None,
                period_ms: 0,
                wants_me: false,
                found: false,
                near_asked: false,
            };
            if self.all.len() == self.all.capacity() {
                // Doubling would leave half of it empty for good: a node that has joined
                // meets few more.
                self.all.reserve_exact(ROOM);
            }
            self.all.insert(at, state);
            at
        });
        &mut self.all[at]
    }

    pub(crate) fn remove(&mut self, peer: &P) -> Option<PeerState<P>> {
        let at = self.find(peer).ok()?;
        let state = self.all.remove(at);
        self.asked -= usize::from(state.probe.is_some());
        Some(state)
    }

    /// Forgets those of whom this is not true, and gives their room back.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&PeerState<P>) -> bool) {
        let before = self.all.len();
        self.all.retain(keep);
        self.asked = self.asked().count();
        if self.all.len() < before {
            self.all.shrink_to_fit();
        }
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &PeerState<P>> {
        self.all.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many are being asked.
    pub(crate) fn asked_count(&self) -> usize {
        self.asked
    }

    /// Who is being asked, and what.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (&PeerState<P>, &Probing)> {
        let asked = self.all.iter();
        asked.filter_map(|peer| peer.probe.as_deref().map(|probe| (peer, probe)))
    }

    /// A peer is being asked this from now on.
    pub(crate) fn start_asking(&mut self, peer: &P, probe: Probing) {
        let Ok(at) = self.find(peer) else {
            return;
        };
        let before = self.all[at].probe.replace(Box::new(probe));
        self.asked += usize::from(before.is_none());
    }

    /// A peer is not being asked any more.
    pub(crate) fn stop_asking(&mut self, peer: &P) {
        let Ok(at) = self.find(peer) else {
            return;
        };
        let before = self.all[at].probe.take();
        self.asked -= usize::from(before.is_some());
    }

    /// What a peer is being asked, to be changed.
    pub(crate) fn probing_mut(&mut self, peer: &P) -> Option<&mut Probing> {
        self.get_mut(peer)?.probe.as_deref_mut()
    }
}

/// One peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerState<P> {
    pub(crate) contact: Contact<P>,
    pub(crate) rtt: Rtt,
    /// When anything last came from it.
    pub(crate) heard: Time,
    /// When anything last went to it.
    pub(crate) told: Time,
    /// A probe it has not answered. Boxed: of a hundred peers few are being asked.
    probe: Option<Box<Probing>>,
    /// How often it probes its table; 0 until it said so.
    pub(crate) period_ms: u32,
    /// Its own row has nobody in this node's place, or somebody farther away (P30).
    pub(crate) wants_me: bool,
    /// Discovery named it to an active node: it may be of another network (P32).
    pub(crate) found: bool,
    /// Its neighbourhood set was asked for.
    pub(crate) near_asked: bool,
}

impl<P> PeerState<P> {
    /// The probe it has not answered.
    pub(crate) fn probing(&self) -> Option<Probing> {
        self.probe.as_deref().copied()
    }
}

/// What a probe asks beyond whether its node lives and how far away it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Nothing.
    Life,
    /// A part of its state.
    Part(Part),
    /// Its view, and tells this node's.
    View,
}

/// A probe under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probing {
    pub(crate) nonce: u64,
    pub(crate) sent: Time,
    /// The first try and the last but one, with their nonces: a slow answer is one too.
    pub(crate) earlier: [Option<(u64, Time)>; 2],
    pub(crate) tries: u32,
    pub(crate) asks: Asks,
    /// Asked because another node called it dead, so that the others know already.
    pub(crate) announced: bool,
    /// The view it carries is no longer the newest, so it is followed by another.
    pub(crate) outdated: bool,
    /// The view of an earlier try was not the newest either.
    pub(crate) was_outdated: bool,
}

impl Probing {
    /// With views on both sides.
    pub(crate) fn is_full(&self) -> bool {
        self.asks == Asks::View
    }

    /// When the try with this nonce was sent, if it is one of this probe's.
    pub(crate) fn sent_with(&self, nonce: u64) -> Option<Time> {
        let tries = self.earlier.into_iter().flatten();
        let mut tries = tries.chain([(self.nonce, self.sent)]);
        tries
            .find(|(of_try, _)| *of_try == nonce)
            .map(|(_, sent)| sent)
    }

    /// The same probe, sent once more.
    pub(crate) fn again(self) -> Probing {
        let last = Some((self.nonce, self.sent));
        Probing {
            tries: self.tries + 1,
            earlier: [self.earlier[0].or(last), last],
            was_outdated: self.was_outdated || self.outdated,
            outdated: false,
            ..self
        }
    }
}
