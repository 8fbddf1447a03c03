//! Addresses as the overlay's messages carry them (O4).
//!
//! The core sees opaque bytes. They are, for each address, its length as an unsigned
//! varint and then its binary form; without the `/p2p` part, which the contact has.

use libp2p_core::{Multiaddr, multiaddr::Protocol};

/// Longest encoding in bytes, the core's bound.
const MAX_BYTES: usize = overlay_core::MAX_ADDRS;

/// How many addresses of a contact are used; more only make dialling slow.
const MAX_ADDRS: usize = 16;

/// How many of a node's own addresses that lead over a relay are told: TCP and QUIC, or two
/// relays.
const MAX_RELAYED: usize = 2;

/// The encoding of as many addresses, from the first on, as fit (O4).
pub fn encode(addrs: &[Multiaddr]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for addr in addrs.iter().take(MAX_ADDRS) {
        let addr = without_peer(addr.clone());
        let addr = addr.as_ref();
        let header = wire::frame_header(addr.len());
        if bytes.len() + header.len() + addr.len() > MAX_BYTES {
            break;
        }
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(addr);
    }
    bytes
}

/// The addresses in `bytes`. What another version or a hostile node put there and we
/// cannot read is left out; a contact without addresses is still a contact (O4).
pub fn decode(bytes: &[u8]) -> Vec<Multiaddr> {
    let mut decoder = wire::FrameDecoder::new(MAX_BYTES);
    decoder.feed(&bytes[..bytes.len().min(MAX_BYTES)]);
    let mut addrs = Vec::new();
    while addrs.len() < MAX_ADDRS
        && let Ok(Some(addr)) = decoder.next_frame()
    {
        let addr = Multiaddr::try_from(addr.to_vec()).map(without_peer);
        if let Ok(addr) = addr
            && !addr.is_empty()
        {
            addrs.push(addr);
        }
    }
    addrs
}

/// Without `/p2p` parts at the end. A circuit address names its relay by one in the
/// middle, which stays.
fn without_peer(mut addr: Multiaddr) -> Multiaddr {
    while let Some(Protocol::P2p(_)) = addr.iter().last() {
        addr.pop();
    }
    addr
}

/// How useful an address is to others: they can use the lower ones better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Network,
    /// Needs to know the interface, which a multiaddress does not say.
    Link,
    Loopback,
    /// Stands for no address.
    Nowhere,
}

fn reach(addr: &Multiaddr) -> Reach {
    match addr.iter().next() {
        Some(Protocol::Ip4(ip)) if ip.is_unspecified() => Reach::Nowhere,
        Some(Protocol::Ip6(ip)) if ip.is_unspecified() => Reach::Nowhere,
        Some(Protocol::Ip4(ip)) if ip.is_loopback() => Reach::Loopback,
        Some(Protocol::Ip6(ip)) if ip.is_loopback() => Reach::Loopback,
        Some(Protocol::Ip4(ip)) if ip.is_link_local() => Reach::Link,
        Some(Protocol::Ip6(ip)) if ip.is_unicast_link_local() => Reach::Link,
        _ => Reach::Network,
    }
}

/// Of our addresses, those to tell others: only the best class there is, so loopback
/// only where nothing else listens (tests, one machine). Each once: the Swarm's external
/// addresses have `/p2p` at the end, those it listens on have not. Those over a relay come last
/// and are few: a relay names all addresses that it has itself.
pub(crate) fn announced(own: &[&Multiaddr]) -> Vec<Multiaddr> {
    let best = own.iter().map(|addr| reach(addr)).min();
    let Some(best) = best.filter(|best| *best != Reach::Nowhere) else {
        return Vec::new();
    };
    let (mut direct, mut relayed) = (Vec::new(), Vec::new());
    for addr in own.iter().filter(|addr| reach(addr) == best) {
        let addr = without_peer((*addr).clone());
        let addrs = match addr.iter().any(|part| part == Protocol::P2pCircuit) {
            true => &mut relayed,
            false => &mut direct,
        };
        if !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
    relayed.truncate(MAX_RELAYED);
    direct.truncate(MAX_ADDRS - relayed.len());
    direct.append(&mut relayed);
    direct
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_survive_and_lose_the_peer() {
        let peer = libp2p_identity::PeerId::random();
        let addrs = parse(&["/ip4/10.0.0.1/tcp/4747", "/ip6/fd00::1/udp/4747/quic-v1"]);
        let with_peer: Vec<_> = addrs
            .iter()
            .map(|addr| addr.clone().with(Protocol::P2p(peer)))
            .collect();
        assert_eq!(decode(&encode(&addrs)), addrs);
        assert_eq!(decode(&encode(&with_peer)), addrs);
    }

    #[test]
    fn the_encoding_is_bounded_and_garbage_is_harmless() {
        let many: Vec<Multiaddr> = (0..100)
            .map(|port| {
                format!("/dns/a-rather-long-name.example/tcp/{port}")
                    .parse()
                    .unwrap()
            })
            .collect();
        let bytes = encode(&many);
        assert!(bytes.len() <= MAX_BYTES);
        let read = decode(&bytes);
        assert!(!read.is_empty());
        assert_eq!(read, many[..read.len()]);
        for garbage in [
            &[0xff; 600][..],
            &[3, 1, 2],
            &[0; 600],
            b"\x04\x04\x7f\x00\x00",
        ] {
            assert!(decode(garbage).len() <= MAX_ADDRS);
        }
    }

    #[test]
    fn loopback_is_announced_only_when_there_is_nothing_else() {
        let announced = |own: &[Multiaddr]| announced(&own.iter().collect::<Vec<_>>());
        let own = parse(&[
            "/ip4/127.0.0.1/tcp/1",
            "/ip6/fe80::1/tcp/1",
            "/ip4/10.0.0.1/tcp/1",
        ]);
        assert_eq!(announced(&own), parse(&["/ip4/10.0.0.1/tcp/1"]));
        assert_eq!(announced(&own[..2]), parse(&["/ip6/fe80::1/tcp/1"]));
        assert_eq!(announced(&own[..1]), own[..1]);
        assert_eq!(announced(&parse(&["/ip4/0.0.0.0/tcp/1"])), []);
        let external = own[2]
            .clone()
            .with(Protocol::P2p(libp2p_identity::PeerId::random()));
        assert_eq!(announced(&[external, own[2].clone()]), own[2..]);
    }

    #[test]
    fn addresses_over_a_relay_come_last_and_are_few_but_there_is_room_for_them() {
        let relay = libp2p_identity::PeerId::random();
        let me = libp2p_identity::PeerId::random();
        let over = |host| format!("/ip4/10.0.0.{host}/tcp/4747/p2p/{relay}/p2p-circuit/p2p/{me}");
        let mut own: Vec<Multiaddr> = (1..6).map(|host| over(host).parse().unwrap()).collect();
        own.extend((1..20).flat_map(|host| parse(&[&format!("/ip6/fd77::{host}/udp/1/quic-v1")])));
        let told = announced(&own.iter().collect::<Vec<_>>());
        assert_eq!(told.len(), MAX_ADDRS);
        assert_eq!(told[..14], own[5..19]);
        assert_eq!(told[14], without_peer(own[0].clone()));
        assert!(encode(&told).len() <= MAX_BYTES);
        assert_eq!(decode(&encode(&told)), told);
    }
}
