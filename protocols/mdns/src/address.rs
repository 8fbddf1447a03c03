//! Which addresses are worth saying, and which worth believing.

use std::net::IpAddr;

use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;

use crate::interfaces::{Family, Interface};

/// The IP address that a multiaddress begins with.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// The port of a multiaddress.
pub(crate) fn port_of(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|protocol| match protocol {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    })
}

/// The addresses of ours to announce on a link, the likeliest to work first:
/// those of the link's family, the ones on the interface's networks before the
/// others (**M8**).
pub(crate) fn advertised(
    own: &[Multiaddr],
    family: Family,
    interface: &Interface,
) -> Vec<Multiaddr> {
    let mut addresses: Vec<(bool, &Multiaddr)> = own
        .iter()
        .filter_map(|address| {
            let ip = ip_of(address)?;
            let wanted = Family::of(&ip) == family && is_dialable(&ip) && !is_relayed(address);
            wanted.then_some((!interface.reaches(&ip), address))
        })
        .collect();
    addresses.sort();
    addresses
        .into_iter()
        .map(|(_, address)| address.clone())
        .collect()
}

/// Whether an address heard on an interface from `source` can be meant for us:
/// it is on one of the interface's networks, or the very address the packet
/// came from (**M11**).
pub(crate) fn believable(address: &Multiaddr, interface: &Interface, source: &IpAddr) -> bool {
    let Some(ip) = ip_of(address) else {
        return false;
    };
    is_dialable(&ip) && !is_relayed(address) && (interface.reaches(&ip) || ip == *source)
}

/// Link-local IPv6 addresses mean nothing without an interface, and the TCP
/// and QUIC transports of libp2p 0.57 cannot be told one.
fn is_dialable(ip: &IpAddr) -> bool {
    let usable = !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast();
    usable
        && match ip {
            IpAddr::V4(ip) => !ip.is_broadcast(),
            IpAddr::V6(ip) => !ip.is_unicast_link_local(),
        }
}

fn is_relayed(address: &Multiaddr) -> bool {
    address
        .iter()
        .any(|protocol| matches!(protocol, Protocol::P2pCircuit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interfaces::Subnet;

    fn interface() -> Interface {
        let subnet = |ip: &str, prefix| Subnet {
            ip: ip.parse().unwrap(),
            prefix,
        };
        Interface {
            name: "eth0".to_owned(),
            subnets: [
                subnet("10.77.0.1", 24),
                subnet("fd77::1", 64),
                subnet("fe80::1", 64),
            ]
            .into(),
        }
    }

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn announces_the_family_nearest_first_and_nothing_local() {
        let own = addresses(&[
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/10.1.0.1/tcp/1",
            "/ip4/10.77.0.1/tcp/1",
            "/ip6/fd77::1/tcp/1",
            "/ip6/fe80::1/tcp/1",
            "/ip6/::1/tcp/1",
        ]);
        let v4 = advertised(&own, Family::V4, &interface());
        assert_eq!(
            v4,
            addresses(&["/ip4/10.77.0.1/tcp/1", "/ip4/10.1.0.1/tcp/1"])
        );
        assert_eq!(
            advertised(&own, Family::V6, &interface()),
            addresses(&["/ip6/fd77::1/tcp/1"])
        );
    }

    #[test]
    fn believes_only_the_neighbourhood() {
        let source = "172.20.0.9".parse().unwrap();
        for good in [
            "/ip4/10.77.0.9/tcp/1",
            "/ip6/fd77::9/udp/1/quic-v1",
            "/ip4/172.20.0.9/tcp/1",
        ] {
            assert!(
                believable(&good.parse().unwrap(), &interface(), &source),
                "{good}"
            );
        }
        for bad in [
            "/ip4/8.8.8.8/tcp/53",
            "/ip4/127.0.0.1/tcp/1",
            "/ip6/fe80::9/tcp/1",
            "/dns4/example.org/tcp/1",
            "/memory/1",
        ] {
            assert!(
                !believable(&bad.parse().unwrap(), &interface(), &source),
                "{bad}"
            );
        }
    }
}
