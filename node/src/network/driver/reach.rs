//! Being reached: tests of addresses, reservations, and what is relayed (`docs/specs/nat.md`).

use std::time::Instant;

use libp2p::{
    Multiaddr, PeerId, autonat, core::transport::ListenerId, identify, relay, swarm::ConnectionId,
};

use super::{
    super::{
        Reach, addresses,
        nat::{Relays, Served, Tests, to_close},
    },
    Driver, innermost,
};

/// What the driver knows of how the node is reached.
pub(super) struct Reached {
    pub(super) tests: Tests,
    relays: Relays,
    served: Served,
}

impl Reached {
    pub(super) fn new(relays: Relays) -> Self {
        Self {
            tests: Tests::default(),
            relays,
            served: Served::default(),
        }
    }

    /// Whether the node should wait before it looks for company (T9).
    pub(super) fn is_patient(&self) -> bool {
        self.relays.is_patient(Instant::now())
    }

    /// A peer could not be dialled.
    pub(super) fn unreachable(&mut self, peer: PeerId, error: &str) {
        self.relays.unreachable(peer, error);
    }
}

impl Driver {
    /// Asks the relays that are due, and closes relayed connections that are needed no more.
    pub(super) fn tend(&mut self) {
        let now = Instant::now();
        let reachability = self.reached.tests.reachability();
        for (peer, circuit) in self.reached.relays.due(now, reachability) {
            let listener = self.swarm.listen_on(circuit);
            let listener = listener.map_err(|error| innermost(&error));
            self.reached.relays.asked(peer, listener, now);
        }
        let links = self.peers.values().map(|peer| &peer.connections);
        let outdone: Vec<ConnectionId> = links.flat_map(|links| to_close(links, now)).collect();
        for connection in outdone {
            self.swarm.close_connection(connection);
        }
    }

    /// A reservation's listener has closed, or another one.
    pub(super) fn on_listener_closed(&mut self, listener: ListenerId, reason: Option<String>) {
        let relays = &mut self.reached.relays;
        if relays.closed(listener, reason.clone(), Instant::now()) {
            self.look_for_company();
        } else if let Some(error) = reason {
            tracing::warn!(error, "a listener closed");
        }
    }

    pub(super) fn on_relay_client(&mut self, event: relay::client::Event) {
        if let relay::client::Event::ReservationReqAccepted {
            relay_peer_id,
            renewal,
            ..
        } = event
        {
            tracing::debug!(relay = %relay_peer_id, renewal, "reservation");
            if self.reached.relays.accepted(relay_peer_id) {
                self.look_for_company();
            }
        }
    }

    pub(super) fn on_relay(&mut self, event: &relay::Event) {
        tracing::debug!(?event, "relay");
        self.reached.served.on_event(event);
    }

    pub(super) fn on_tested(&mut self, event: autonat::v2::client::Event) {
        let (candidate, by) = (&event.tested_addr, event.server);
        match &event.result {
            Ok(()) => tracing::debug!(address = %candidate, %by, "reached"),
            Err(error) => tracing::debug!(address = %candidate, %by, %error, "not reached"),
        }
        self.reached.tests.tested(candidate, event.result.is_ok());
    }

    /// Notes a peer that might relay for this node (T7).
    pub(super) fn on_possible_relay(&mut self, peer: PeerId, info: &identify::Info) {
        let offers = info.protocols.contains(&relay::HOP_PROTOCOL_NAME);
        if !offers || self.reached.tests.is_own(&info.observed_addr) {
            return;
        }
        let links = self.peers.get(&peer).map(|peer| peer.connections.values());
        let mut dialled = links.into_iter().flatten().filter(|link| link.dialled);
        let Some(link) = dialled.find(|link| !link.relayed) else {
            return;
        };
        let (address, _) = addresses::split_peer(link.address.clone());
        self.reached.relays.offered(peer, address);
    }

    pub(super) fn reach(&self) -> Reach {
        let reachability = self.reached.tests.reachability();
        let serves = self.swarm.behaviour().relay.is_enabled();
        Reach {
            reachability,
            reservations: self.reached.relays.reservations(),
            relaying: self.reached.served.now(serves),
        }
    }

    /// Whether an address that the node listens on is told as its own. Those over relays are
    /// told by whoever holds the reservation.
    pub(super) fn is_told(address: &Multiaddr) -> bool {
        addresses::is_lan(address) && !super::super::nat::is_circuit(address)
    }
}
