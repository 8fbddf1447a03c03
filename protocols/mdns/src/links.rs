//! The interfaces of this machine, and which addresses belong on them.

use std::{collections::BTreeMap, io, net::IpAddr};

use libp2p_core::{Multiaddr, multiaddr::Protocol};
use nix::{
    ifaddrs::{InterfaceAddress, getifaddrs},
    net::if_::{InterfaceFlags, if_nametoindex},
    sys::socket::SockaddrStorage,
};

/// Most interfaces used (M1): two sockets each. A machine with more has them
/// for containers; the ones with the lowest indices are the machine's own.
pub const MAX_LINKS: usize = 64;

/// Most addresses of an interface looked at (M1); hosts with privacy addresses
/// have about ten.
pub const MAX_LINK_ADDRESSES: usize = 64;

/// An interface that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) loopback: bool,
    /// The addresses assigned to it, each with the length of its prefix.
    pub(crate) addresses: Vec<(IpAddr, u8)>,
}

/// All interfaces that are up and can multicast (M1), sorted by index.
/// Loopback ones only if asked for: they need not claim to multicast.
///
/// # Errors
///
/// The system does not list them.
pub(crate) fn list(loopback: bool) -> io::Result<Vec<Link>> {
    let mut links: BTreeMap<String, Link> = BTreeMap::new();
    for entry in getifaddrs()? {
        if !usable(entry.flags, loopback) {
            continue;
        }
        let Some(address) = ip_and_prefix(&entry) else {
            continue;
        };
        if let Some(link) = links.get_mut(&entry.interface_name) {
            if link.addresses.len() < MAX_LINK_ADDRESSES {
                link.addresses.push(address);
            }
            continue;
        }
        // An interface that vanished in between has no index any more.
        let Ok(index) = if_nametoindex(entry.interface_name.as_str()) else {
            continue;
        };
        let link = Link {
            index,
            name: entry.interface_name.clone(),
            loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
            addresses: vec![address],
        };
        links.insert(entry.interface_name, link);
    }
    let mut links: Vec<Link> = links.into_values().collect();
    links.sort_by_key(|link| link.index);
    if links.len() > MAX_LINKS {
        tracing::debug!(count = links.len(), "too many interfaces, using the first");
        links.truncate(MAX_LINKS);
    }
    for link in &mut links {
        link.addresses.sort();
    }
    Ok(links)
}

fn usable(flags: InterfaceFlags, loopback: bool) -> bool {
    if !flags.contains(InterfaceFlags::IFF_UP) {
        return false;
    }
    if flags.contains(InterfaceFlags::IFF_LOOPBACK) {
        return loopback;
    }
    flags.contains(InterfaceFlags::IFF_MULTICAST)
}

fn ip_and_prefix(entry: &InterfaceAddress) -> Option<(IpAddr, u8)> {
    let ip = ip_of(entry.address.as_ref()?)?;
    let prefix = match entry.netmask.as_ref().and_then(ip_of) {
        Some(IpAddr::V4(mask)) => mask.to_bits().leading_ones(),
        Some(IpAddr::V6(mask)) => mask.to_bits().leading_ones(),
        None if ip.is_ipv4() => 32,
        None => 128,
    };
    Some((ip, u8::try_from(prefix).unwrap_or(128)))
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

impl Link {
    /// Whether `ip` is assigned to this interface.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|(own, _)| *own == ip)
    }

    /// Whether `ip` lies in a network of this interface.
    pub(crate) fn reaches(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|(own, prefix)| match (own, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*prefix).min(32));
                let mask = mask.unwrap_or(0);
                own.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(*prefix).min(128));
                let mask = mask.unwrap_or(0);
                own.to_bits() & mask == ip.to_bits() & mask
            }
            _ => false,
        })
    }

    /// Whether to announce our listen address on this interface (M7).
    pub(crate) fn announces(&self, address: &Multiaddr) -> bool {
        let Some(ip) = dialable_ip(address) else {
            return false;
        };
        self.has(ip) && (self.loopback || !ip.is_loopback())
    }

    /// Whether to learn an address heard on this interface (M10).
    pub(crate) fn learns(&self, address: &Multiaddr) -> bool {
        let Some(ip) = dialable_ip(address) else {
            return false;
        };
        match ip {
            _ if ip.is_loopback() => self.loopback,
            // Addresses of 169.254.0.0/16 lead there only where they were heard.
            IpAddr::V4(v4) if v4.is_link_local() => self.reaches(ip),
            _ => true,
        }
    }
}

/// The IP of a TCP or UDP address that can be dialled as it stands: not
/// relayed, and no IPv6 link-local one, as a multiaddress has no room for the
/// scope the transports would need (M7).
fn dialable_ip(address: &Multiaddr) -> Option<IpAddr> {
    let mut protocols = address.iter();
    let ip = match protocols.next()? {
        Protocol::Ip4(ip) if ip.is_broadcast() => return None,
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) if ip.is_unicast_link_local() || ip.to_ipv4_mapped().is_some() => {
            return None;
        }
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    if ip.is_unspecified() || ip.is_multicast() {
        return None;
    }
    match protocols.next()? {
        Protocol::Tcp(port) if port != 0 => {}
        Protocol::Udp(port) if port != 0 => {}
        _ => return None,
    }
    let relayed = protocols.any(|protocol| matches!(protocol, Protocol::P2pCircuit));
    (!relayed).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link {
            index: 2,
            name: "eth0".to_owned(),
            loopback: false,
            addresses: vec![
                ("10.0.0.1".parse().unwrap(), 24),
                ("fd00::1".parse().unwrap(), 64),
                ("fe80::1".parse().unwrap(), 64),
            ],
        }
    }

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_addresses_of_the_interface_are_announced() {
        for (text, announced) in [
            ("/ip4/10.0.0.1/tcp/1", true),
            ("/ip4/10.0.0.1/udp/1/quic-v1", true),
            ("/ip6/fd00::1/tcp/1", true),
            ("/ip4/10.0.0.2/tcp/1", false),
            ("/ip6/fe80::1/tcp/1", false),
            ("/ip4/127.0.0.1/tcp/1", false),
            ("/dns4/host/tcp/1", false),
            ("/ip4/10.0.0.1", false),
            ("/memory/1", false),
        ] {
            assert_eq!(link().announces(&address(text)), announced, "{text}");
        }
    }

    #[test]
    fn only_addresses_that_can_be_dialled_are_learnt() {
        for (text, learnt) in [
            ("/ip4/10.0.0.2/tcp/1", true),
            ("/ip4/192.168.7.7/udp/1/quic-v1", true),
            ("/ip6/2001:db8::1/tcp/1", true),
            ("/ip6/fe80::2/tcp/1", false),
            ("/ip6/::1/tcp/1", false),
            ("/ip6/::ffff:10.0.0.2/tcp/1", false),
            ("/ip4/127.0.0.1/tcp/1", false),
            ("/ip4/0.0.0.0/tcp/1", false),
            ("/ip4/224.0.0.251/udp/1", false),
            ("/ip4/255.255.255.255/udp/1", false),
            ("/ip4/169.254.1.1/tcp/1", false),
            ("/ip4/10.0.0.2/tcp/0", false),
            ("/ip4/10.0.0.2/tcp/1/p2p-circuit", false),
        ] {
            assert_eq!(link().learns(&address(text)), learnt, "{text}");
        }
        let mut bare = link();
        bare.addresses.push(("169.254.9.9".parse().unwrap(), 16));
        assert!(bare.learns(&address("/ip4/169.254.1.1/tcp/1")));
        bare.loopback = true;
        assert!(bare.learns(&address("/ip4/127.0.0.1/tcp/1")));
    }

    #[test]
    fn networks_are_told_apart() {
        let reaches = |ip: &str| link().reaches(ip.parse().unwrap());
        assert!(reaches("10.0.0.200") && reaches("fd00::9") && reaches("fe80::9"));
        assert!(!reaches("10.0.1.1") && !reaches("fd01::1"));
        let mut any = link();
        any.addresses = vec![("10.0.0.1".parse().unwrap(), 0)];
        assert!(any.reaches("192.168.1.1".parse().unwrap()));
    }

    #[test]
    fn the_interfaces_of_this_machine_can_be_listed() {
        for link in list(true).unwrap() {
            assert!(link.index > 0 && !link.addresses.is_empty());
        }
        assert!(list(false).unwrap().iter().all(|link| !link.loopback));
    }
}
