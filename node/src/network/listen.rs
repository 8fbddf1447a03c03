//! Opening the swarm's listeners.

use std::net::{Ipv4Addr, Ipv6Addr};

use libp2p::{Multiaddr, multiaddr::Protocol};

use crate::config;

/// The addresses the settings ask for: TCP and QUIC on every interface, IPv6 and
/// IPv4, unless others are named.
pub(crate) fn listen_addresses(settings: &config::Network) -> Vec<Multiaddr> {
    if !settings.listen.is_empty() {
        return settings.listen.clone();
    }
    let port = settings.listen_port;
    [
        Multiaddr::from(Ipv4Addr::UNSPECIFIED),
        Multiaddr::from(Ipv6Addr::UNSPECIFIED),
    ]
    .into_iter()
    .flat_map(|any| {
        [
            any.clone().with(Protocol::Udp(port)).with(Protocol::QuicV1),
            any.with(Protocol::Tcp(port)),
        ]
    })
    .collect()
}
