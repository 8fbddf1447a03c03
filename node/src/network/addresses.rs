//! Which addresses are worth telling and dialling.

use std::net::IpAddr;

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

use super::nat::is_circuit;

/// Addresses over relays that are kept of a peer: TCP and QUIC, or two relays.
const MAX_CIRCUITS: usize = 2;

/// The first IP address of `address`: of the relay, where it leads over one.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    })
}

/// Whether `address` reaches only the machine it is used on.
pub fn is_loopback(address: &Multiaddr) -> bool {
    ip_of(address).is_some_and(|ip| ip.is_loopback())
}

/// Whether other machines of the LAN can dial `address` as it stands: a link-local
/// IPv6 address needs a zone that differs from machine to machine.
pub(crate) fn is_lan(address: &Multiaddr) -> bool {
    match ip_of(address) {
        Some(IpAddr::V4(ip)) => !ip.is_loopback() && !ip.is_unspecified() && !ip.is_link_local(),
        Some(IpAddr::V6(ip)) => {
            !ip.is_loopback() && !ip.is_unspecified() && !ip.is_unicast_link_local()
        }
        None => false,
    }
}

/// The addresses a peer says it listens on that this node could dial. Loopback ones
/// mean this machine, so they count only if the peer is on it. Those over relays come last and
/// are few, but direct ones do not take their place: they may be the only ones that work.
pub(crate) fn dialable(said: Vec<Multiaddr>, peer_is_local: bool, most: usize) -> Vec<Multiaddr> {
    let mut addrs = said;
    addrs.retain(|address| is_lan(address) || (peer_is_local && is_loopback(address)));
    let (mut circuits, mut addrs): (Vec<_>, Vec<_>) = addrs.into_iter().partition(is_circuit);
    circuits.truncate(MAX_CIRCUITS.min(most));
    addrs.truncate(most - circuits.len());
    addrs.append(&mut circuits);
    addrs
}

/// `address` with its closing `/p2p/PEER`, if it has one, apart.
pub(crate) fn split_peer(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => {
            address.pop();
            (address, Some(peer))
        }
        _ => (address, None),
    }
}

/// `address` closed by `/p2p/PEER`.
pub fn with_peer(address: &Multiaddr, peer: PeerId) -> Multiaddr {
    let (address, _) = split_peer(address.clone());
    address.with(Protocol::P2p(peer))
}
