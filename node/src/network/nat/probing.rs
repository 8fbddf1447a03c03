//! The AutoNAT client, within bounds (T1, T2).
//!
//! The library's keeps every candidate that it has ever heard of, and peers may name as many as
//! they like. It also takes a relayed connection for one that tells who can be reached.

use std::{
    collections::BTreeSet,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    autonat::v2::client,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
    },
};

use super::is_circuit;

/// Candidates that are tested: a few interfaces, families and transports, as several peers
/// see them.
const MAX_CANDIDATES: usize = 32;

/// Has this node's candidates tested by peers that it has dialled.
#[derive(Default)]
pub(crate) struct Probing {
    client: client::Behaviour,
    candidates: BTreeSet<Multiaddr>,
}

impl Probing {
    /// Whether a candidate is to be tested.
    fn takes(&mut self, candidate: &Multiaddr) -> bool {
        if is_circuit(candidate) {
            return false;
        }
        let known = self.candidates.contains(candidate);
        if !known && self.candidates.len() < MAX_CANDIDATES {
            self.candidates.insert(candidate.clone());
            return true;
        }
        known
    }
}

impl NetworkBehaviour for Probing {
    type ConnectionHandler = <client::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = client::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client
            .handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if is_circuit(address) {
            // The handler of inbound connections asks for no tests.
            return self
                .client
                .handle_established_inbound_connection(connection, peer, address, address);
        }
        self.client
            .handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::NewExternalAddrCandidate(candidate) = &event
            && !self.takes(candidate.addr)
        {
            return;
        }
        self.client.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.client
            .on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.client.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_do_not_fill_the_table_of_candidates() {
        let mut probing = Probing::default();
        let candidate = |port| format!("/ip4/198.51.100.1/tcp/{port}").parse().unwrap();
        for port in 1..=MAX_CANDIDATES {
            assert!(probing.takes(&candidate(port)));
        }
        assert!(!probing.takes(&candidate(MAX_CANDIDATES + 1)));
        assert!(probing.takes(&candidate(1)), "what is known is heard again");
        let circuit = format!(
            "/ip4/198.51.100.1/tcp/1/p2p/{}/p2p-circuit",
            PeerId::random()
        );
        assert!(!Probing::default().takes(&circuit.parse().unwrap()));
    }
}
