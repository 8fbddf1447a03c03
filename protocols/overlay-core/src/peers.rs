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
/// A node looks its peers up far more often than it meets new ones. So the names stand side by
/// side, in order, where a search reads a few lines of memory, and what is known of each stands
/// elsewhere and does not move when another is met.
#[derive(Clone, Debug)]
pub(crate) struct Peers<P> {
    /// In order.
    names: Vec<P>,
    /// Where in `states` each name's is.
    places: Vec<u16>,
    states: Vec<PeerState<P>>,
    /// How many are being asked.
    asked: usize,
}

const _: () = assert!(MAX_PEERS < u16::MAX as usize);

impl<P> Default for Peers<P> {
    fn default() -> Self {
        Peers {
            names: Vec::new(),
            places: Vec::new(),
            states: Vec::new(),
            asked: 0,
        }
    }
}

impl<P: Peer> Peers<P> {
    fn place(&self, peer: &P) -> Option<usize> {
        let at = self.names.binary_search(peer).ok()?;
        Some(usize::from(self.places[at]))
    }

    pub(crate) fn get(&self, peer: &P) -> Option<&PeerState<P>> {
        self.place(peer).map(|place| &self.states[place])
    }

    pub(crate) fn get_mut(&mut self, peer: &P) -> Option<&mut PeerState<P>> {
        self.place(peer).map(|place| &mut self.states[place])
    }

    pub(crate) fn contains_key(&self, peer: &P) -> bool {
        self.names.binary_search(peer).is_ok()
    }

    /// The peer's state, made if there is none.
    pub(crate) fn meet(&mut self, now: Time, contact: &Contact<P>) -> &mut PeerState<P> {
        let place = match self.names.binary_search(&contact.peer) {
            Ok(at) => usize::from(self.places[at]),
            Err(at) => self.add(at, now, contact),
        };
        &mut self.states[place]
    }

    fn add(&mut self, at: usize, now: Time, contact: &Contact<P>) -> usize {
        if self.states.len() == self.states.capacity() {
            // Doubling would leave half of it empty for good: a node that has joined
            // meets few more.
            self.names.reserve_exact(ROOM);
            self.places.reserve_exact(ROOM);
            self.states.reserve_exact(ROOM);
        }
        let place = self.states.len();
        self.names.insert(at, contact.peer);
        self.places.insert(at, place as u16);
        self.states.push(PeerState {
            contact: contact.clone(),
            rtt: Rtt::default(),
            heard: now,
            told: now,
            probe: None,
            period_ms: 0,
            wants_me: false,
            found: false,
            near_asked: false,
        });
        place
    }

    pub(crate) fn remove(&mut self, peer: &P) -> Option<PeerState<P>> {
        let at = self.names.binary_search(peer).ok()?;
        self.names.remove(at);
        let place = usize::from(self.places.remove(at));
        let state = self.states.swap_remove(place);
        // The last one stands in its place now.
        if let Some(moved) = self.states.get(place)
            && let Ok(at) = self.names.binary_search(&moved.contact.peer)
        {
            self.places[at] = place as u16;
        }
        self.asked -= usize::from(state.probe.is_some());
        Some(state)
    }

    /// Forgets those of whom this is not true, and gives their room back.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&PeerState<P>) -> bool) {
        let states = self.values().filter(|state| !keep(state));
        let forgotten: Vec<P> = states.map(|state| state.contact.peer).collect();
        for peer in &forgotten {
            self.remove(peer);
        }
        if !forgotten.is_empty() {
            self.names.shrink_to_fit();
            self.places.shrink_to_fit();
            self.states.shrink_to_fit();
        }
    }

    /// All of them, by name.
    pub(crate) fn values(&self) -> impl Iterator<Item = &PeerState<P>> {
        let places = self.places.iter();
        places.map(|place| &self.states[usize::from(*place)])
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// How many are being asked.
    pub(crate) fn asked_count(&self) -> usize {
        self.asked
    }

    /// Who is being asked, and what.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (&PeerState<P>, &Probing)> {
        self.values()
            .filter_map(|peer| peer.probe.as_deref().map(|probe| (peer, probe)))
    }

    /// A peer is being asked this from now on.
    pub(crate) fn start_asking(&mut self, peer: &P, probe: Probing) {
        let Some(place) = self.place(peer) else {
            return;
        };
        let before = self.states[place].probe.replace(Box::new(probe));
        self.asked += usize::from(before.is_none());
    }

    /// A peer is not being asked any more.
    pub(crate) fn stop_asking(&mut self, peer: &P) {
        let Some(place) = self.place(peer) else {
            return;
        };
        let before = self.states[place].probe.take();
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use guid::Guid;
    use proptest::prelude::*;

    use super::*;
    use crate::Addrs;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Meet(u32),
        Remove(u32),
        Ask(u32),
        Answered(u32),
        ForgetMultiples(u32),
    }

    fn asked_at(sent: Time) -> Probing {
        Probing {
            nonce: 0,
            sent,
            earlier: [None; 2],
            tries: 0,
            asks: Asks::Life,
            announced: false,
            outdated: false,
            was_outdated: false,
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        let peer = 0u32..40;
        prop_oneof![
            4 => peer.clone().prop_map(Step::Meet),
            2 => peer.clone().prop_map(Step::Remove),
            2 => peer.clone().prop_map(Step::Ask),
            1 => peer.prop_map(Step::Answered),
            1 => (2u32..7).prop_map(Step::ForgetMultiples),
        ]
    }

    proptest! {
        /// Beside a map from each name to when it was met and whether it is being asked.
        #[test]
        fn each_name_has_its_own_state(steps in prop::collection::vec(step(), 0..200)) {
            let mut peers = Peers::<u32>::default();
            let mut model = BTreeMap::new();
            for (at, step) in steps.into_iter().enumerate() {
                let now = Time::from_micros(at as u64);
                match step {
                    Step::Meet(peer) => {
                        let guid = Guid::new(u128::from(peer));
                        let contact = Contact { guid, peer, addrs: Addrs::default() };
                        let (met, _) = *model.entry(peer).or_insert((now, false));
                        prop_assert_eq!(peers.meet(now, &contact).heard, met);
                    }
                    Step::Remove(peer) => {
                        let removed = peers.remove(&peer);
                        let was = model.remove(&peer);
                        prop_assert_eq!(removed.map(|state| state.heard), was.map(|(met, _)| met));
                    }
                    Step::Ask(peer) => {
                        peers.start_asking(&peer, asked_at(now));
                        model.entry(peer).and_modify(|(_, asked)| *asked = true);
                    }
                    Step::Answered(peer) => {
                        peers.stop_asking(&peer);
                        model.entry(peer).and_modify(|(_, asked)| *asked = false);
                    }
                    Step::ForgetMultiples(of) => {
                        peers.retain(|state| state.contact.peer % of != 0);
                        model.retain(|peer, _| peer % of != 0);
                    }
                }
                let held: Vec<_> = peers
                    .values()
                    .map(|state| (state.contact.peer, (state.heard, state.probing().is_some())))
                    .collect();
                let expected: Vec<_> = model.iter().map(|(peer, state)| (*peer, *state)).collect();
                prop_assert_eq!(held, expected);
                prop_assert_eq!(peers.asked_count(), model.values().filter(|(_, asked)| *asked).count());
                for peer in 0..40 {
                    let known = peers.get(&peer).map(|state| state.heard);
                    prop_assert_eq!(known, model.get(&peer).map(|(met, _)| *met));
                }
            }
        }
    }
}
