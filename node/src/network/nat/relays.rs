//! Reservations at relays: which are asked for, and what became of them (T6 to T9).
//!
//! Decides alone; the driver listens and tells what happened.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId, core::transport::ListenerId, multiaddr::Protocol};

use super::{super::addresses::split_peer, Reachability};

/// Reservations of a node that others cannot dial: where one relay ends, the other is there.
const ENOUGH: usize = 2;

/// Peers remembered that offer to relay.
const MAX_OFFERS: usize = 64;

/// After so many failures in a row a relay that nobody named gives way to another.
const MAX_FAILURES: u32 = 3;

/// How long after a failure it is tried again: this, then twice as long each time, up to the
/// second.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LATER: Duration = Duration::from_secs(60);

/// How long a node waits for the first reservation at a named relay before it looks for
/// company without.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationState {
    /// It was refused or lost and is asked for again later.
    Waiting,
    /// It was asked for.
    Asking,
    /// Others reach this node over the relay.
    Held,
}

/// A reservation, held or wanted.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// The relay, closed by `/p2p/PEER`.
    pub relay: Multiaddr,
    /// Whether it was named, not found.
    pub named: bool,
    /// How it stands.
    pub state: ReservationState,
    /// Why it last failed, where it is not held.
    pub error: Option<String>,
}

#[derive(Debug)]
enum State {
    Due(Instant),
    Asking(ListenerId),
    Held(ListenerId),
}

#[derive(Debug)]
struct Relay {
    peer: PeerId,
    address: Multiaddr,
    named: bool,
    state: State,
    failures: u32,
    error: Option<String>,
}

/// The relays of this node.
#[derive(Debug)]
pub(crate) struct Relays {
    relays: Vec<Relay>,
    /// Whether relays that nobody named are used.
    auto: bool,
    /// Relays for when they are needed, those heard of last at the end.
    offers: VecDeque<(PeerId, Multiaddr)>,
    /// Until when the first reservation is waited for.
    patience: Option<Instant>,
}

impl Relays {
    /// Those of `named`, addresses closed by `/p2p/PEER`, and with `auto` others.
    pub(crate) fn new(named: Vec<Multiaddr>, auto: bool, now: Instant) -> Self {
        let named = named.into_iter().filter_map(|address| {
            let (address, peer) = split_peer(address);
            Some((peer?, address))
        });
        // One reservation at a relay: a second one would end the first.
        let mut relays: Vec<Relay> = Vec::new();
        for (peer, address) in named {
            if relays.iter().all(|relay| relay.peer != peer) {
                relays.push(Relay::new(peer, address, true, now));
            }
        }
        Self {
            patience: (!relays.is_empty()).then(|| now + PATIENCE),
            relays,
            auto,
            offers: VecDeque::new(),
        }
    }

    /// Whether the outcome at the named relays is worth waiting for.
    pub(crate) fn is_patient(&self, now: Instant) -> bool {
        self.patience.is_some_and(|until| now < until)
    }

    /// A peer beyond this node's NAT offers to relay.
    pub(crate) fn offered(&mut self, peer: PeerId, address: Multiaddr) {
        self.offers.retain(|(offered, _)| *offered != peer);
        if self.offers.len() >= MAX_OFFERS {
            self.offers.pop_front();
        }
        self.offers.push_back((peer, address));
    }

    /// The relays to ask now, with the address to listen on.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        reachable: Reachability,
    ) -> Vec<(PeerId, Multiaddr)> {
        self.take_offers(now, reachable);
        let due = self
            .relays
            .iter()
            .filter(|relay| matches!(relay.state, State::Due(at) if at <= now));
        due.map(|relay| (relay.peer, relay.circuit())).collect()
    }

    fn take_offers(&mut self, now: Instant, reachable: Reachability) {
        if !self.auto || reachable != Reachability::Private {
            return;
        }
        while self.relays.len() < ENOUGH
            && let Some((peer, address)) = self.offers.pop_back()
        {
            if self.relays.iter().all(|relay| relay.peer != peer) {
                self.relays.push(Relay::new(peer, address, false, now));
            }
        }
    }

    /// A relay was asked: the listener of the reservation, or why there is none.
    pub(crate) fn asked(
        &mut self,
        peer: PeerId,
        listener: Result<ListenerId, String>,
        now: Instant,
    ) {
        match (listener, self.relay(peer)) {
            (Ok(listener), Some(relay)) => relay.state = State::Asking(listener),
            (Err(error), Some(_)) => self.failed(peer, error, now),
            (_, None) => {}
        }
    }

    /// A relay has given or renewed a reservation. Whether it is the first one here.
    pub(crate) fn accepted(&mut self, peer: PeerId) -> bool {
        let Some(relay) = self.relay(peer) else {
            return false;
        };
        if let State::Asking(listener) = relay.state {
            relay.state = State::Held(listener);
        }
        relay.failures = 0;
        relay.error = None;
        self.patience.take().is_some()
    }

    /// A peer could not be dialled, which may be why a reservation fails in a moment.
    pub(crate) fn unreachable(&mut self, peer: PeerId, error: &str) {
        if let Some(relay) = self.relay(peer)
            && matches!(relay.state, State::Asking(_))
        {
            relay.error = Some(format!("the relay cannot be reached: {error}"));
        }
    }

    /// A listener has closed, with the reason where there is one. Whether it was a relay's.
    pub(crate) fn closed(
        &mut self,
        closed: ListenerId,
        reason: Option<String>,
        now: Instant,
    ) -> bool {
        let relay = self.relays.iter_mut().find(|relay| match relay.state {
            State::Asking(listener) | State::Held(listener) => listener == closed,
            State::Due(_) => false,
        });
        let Some(relay) = relay else { return false };
        let error = match (reason, relay.error.take(), &relay.state) {
            (Some(reason), ..) => format!("the relay gives no reservation: {reason}"),
            (None, Some(error), _) => error,
            (None, None, State::Held(_)) => "the connection to the relay was lost".to_owned(),
            (None, None, _) => "the relay cannot be reached".to_owned(),
        };
        let peer = relay.peer;
        self.failed(peer, error, now);
        true
    }

    fn failed(&mut self, peer: PeerId, error: String, now: Instant) {
        self.patience = None;
        let Some(relay) = self.relay(peer) else {
            return;
        };
        tracing::info!(relay = %peer, error, "no reservation");
        let wait = RETRY_FIRST * 2u32.saturating_pow(relay.failures);
        relay.state = State::Due(now + wait.min(RETRY_LATER));
        relay.failures += 1;
        relay.error = Some(error);
        self.relays
            .retain(|relay| relay.named || relay.failures < MAX_FAILURES);
    }

    fn relay(&mut self, peer: PeerId) -> Option<&mut Relay> {
        self.relays.iter_mut().find(|relay| relay.peer == peer)
    }

    /// How each reservation stands.
    pub(crate) fn reservations(&self) -> Vec<Reservation> {
        self.relays.iter().map(Relay::describe).collect()
    }
}

impl Relay {
    fn new(peer: PeerId, address: Multiaddr, named: bool, now: Instant) -> Self {
        Self {
            peer,
            address,
            named,
            state: State::Due(now),
            failures: 0,
            error: None,
        }
    }

    fn full(&self) -> Multiaddr {
        self.address.clone().with(Protocol::P2p(self.peer))
    }

    fn circuit(&self) -> Multiaddr {
        self.full().with(Protocol::P2pCircuit)
    }

    fn describe(&self) -> Reservation {
        Reservation {
            relay: self.full(),
            named: self.named,
            state: match self.state {
                State::Due(_) => ReservationState::Waiting,
                State::Asking(_) => ReservationState::Asking,
                State::Held(_) => ReservationState::Held,
            },
            error: self.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: PeerId) -> Multiaddr {
        let address: Multiaddr = "/ip4/198.51.100.1/tcp/4747".parse().unwrap();
        address.with(Protocol::P2p(peer))
    }

    fn states(relays: &Relays) -> Vec<ReservationState> {
        let all = relays.reservations().into_iter();
        all.map(|reservation| reservation.state).collect()
    }

    #[test]
    fn a_named_relay_is_asked_again_and_again() {
        let (peer, mut now) = (PeerId::random(), Instant::now());
        let mut relays = Relays::new(vec![address(peer)], false, now);
        assert!(relays.is_patient(now));
        for _ in 0..20 {
            let due = relays.due(now, Reachability::Unknown);
            let circuit = address(peer).with(Protocol::P2pCircuit);
            assert_eq!(due, [(peer, circuit)]);
            let listener = ListenerId::next();
            relays.asked(peer, Ok(listener), now);
            assert!(relays.due(now, Reachability::Unknown).is_empty());
            assert!(relays.closed(listener, Some("it is full".to_owned()), now));
            assert!(!relays.closed(listener, None, now));
            assert!(relays.due(now, Reachability::Unknown).is_empty());
            now += RETRY_LATER;
        }
        assert!(!relays.is_patient(now), "the outcome is known");
        let said = relays.reservations()[0].error.clone().unwrap();
        assert_eq!(said, "the relay gives no reservation: it is full");

        let listener = ListenerId::next();
        relays.asked(peer, Ok(listener), now);
        assert!(!relays.accepted(peer), "nobody waits for it any more");
        assert_eq!(states(&relays), [ReservationState::Held]);
        assert_eq!(relays.reservations()[0].error, None);
        assert!(relays.closed(listener, None, now));
        assert_eq!(states(&relays), [ReservationState::Waiting]);
        assert!(relays.due(now + RETRY_FIRST, Reachability::Unknown).len() == 1);
    }

    #[test]
    fn a_relay_that_cannot_be_reached_says_why() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut relays = Relays::new(vec![address(peer)], false, now);
        let listener = ListenerId::next();
        relays.asked(peer, Ok(listener), now);
        relays.unreachable(peer, "connection refused");
        assert!(relays.closed(listener, None, now));
        let said = relays.reservations()[0].error.clone().unwrap();
        assert_eq!(said, "the relay cannot be reached: connection refused");
    }

    #[test]
    fn others_are_asked_by_those_alone_whom_nobody_reaches() {
        let now = Instant::now();
        let mut relays = Relays::new(Vec::new(), true, now);
        assert!(!relays.is_patient(now));
        let peers: Vec<PeerId> = (0..MAX_OFFERS + 3).map(|_| PeerId::random()).collect();
        for peer in &peers {
            relays.offered(*peer, split_peer(address(*peer)).0);
        }
        assert_eq!(relays.offers.len(), MAX_OFFERS);
        assert!(relays.due(now, Reachability::Unknown).is_empty());
        assert!(relays.due(now, Reachability::Public).is_empty());
        assert_eq!(relays.due(now, Reachability::Private).len(), ENOUGH);

        // One fails for good, and another takes its place.
        let first = relays.due(now, Reachability::Private)[0].0;
        let mut later = now;
        for _ in 0..MAX_FAILURES {
            let listener = ListenerId::next();
            relays.asked(first, Ok(listener), later);
            assert!(relays.closed(listener, None, later));
            later += RETRY_LATER;
        }
        let due = relays.due(later, Reachability::Private);
        assert_eq!(due.len(), ENOUGH);
        assert!(due.iter().all(|(peer, _)| *peer != first));

        let mut shy = Relays::new(Vec::new(), false, now);
        shy.offered(peers[0], address(peers[0]));
        assert!(shy.due(now, Reachability::Private).is_empty());
    }
}
