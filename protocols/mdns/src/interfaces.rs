//! The interfaces of this machine that multicast can use.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

/// IP version of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(ip: &IpAddr) -> Family {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// An address of an interface with the length of its network prefix, bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subnet {
    pub(crate) ip: IpAddr,
    pub(crate) prefix: u8,
}

impl Subnet {
    /// Whether `other` is on the same network.
    pub(crate) fn contains(&self, other: &IpAddr) -> bool {
        match (self.ip, other) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differing = u32::from(ours) ^ u32::from(*theirs);
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differing = u128::from(ours) ^ u128::from(*theirs);
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) subnets: BTreeSet<Subnet>,
}

impl Interface {
    /// Its first IPv4 address.
    pub(crate) fn ipv4(&self) -> Option<Ipv4Addr> {
        self.subnets.iter().find_map(|subnet| match subnet.ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
    }

    /// Its first IPv6 address that is valid beyond the link.
    pub(crate) fn ipv6(&self) -> Option<Ipv6Addr> {
        self.subnets.iter().find_map(|subnet| match subnet.ip {
            IpAddr::V6(ip) if !ip.is_unicast_link_local() => Some(ip),
            _ => None,
        })
    }

    /// Whether it has any IPv6 address, link-local ones included.
    pub(crate) fn speaks_ipv6(&self) -> bool {
        self.subnets.iter().any(|subnet| subnet.ip.is_ipv6())
    }

    /// Whether `ip` is on one of its networks.
    pub(crate) fn reaches(&self, ip: &IpAddr) -> bool {
        self.subnets.iter().any(|subnet| subnet.contains(ip))
    }
}

/// All interfaces that can multicast, by their index.
pub(crate) type Interfaces = BTreeMap<u32, Interface>;

/// Asks the kernel for the interfaces that are up and can multicast, loopback
/// excepted (**M3**).
pub(crate) fn list() -> io::Result<Interfaces> {
    let mut interfaces = Interfaces::new();
    for entry in getifaddrs()? {
        let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
        if !entry.flags.contains(wanted) || entry.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            continue;
        }
        let Some(ip) = entry.address.as_ref().and_then(ip_of) else {
            continue;
        };
        let prefix = entry
            .netmask
            .as_ref()
            .and_then(ip_of)
            .map_or(0, prefix_length);
        // The interface may have vanished since.
        let Ok(index) = if_nametoindex(entry.interface_name.as_str()) else {
            continue;
        };
        let interface = interfaces.entry(index).or_default();
        interface.name = entry.interface_name;
        interface.subnets.insert(Subnet {
            ip,
            prefix: if prefix == 0 { 128 } else { prefix },
        });
    }
    Ok(interfaces)
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(v4.ip().into());
    }
    address.as_sockaddr_in6().map(|v6| v6.ip().into())
}

fn prefix_length(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(mask) => u32::from(mask).count_ones(),
        IpAddr::V6(mask) => u128::from(mask).count_ones(),
    };
    u8::try_from(ones).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_holds_its_own_only() {
        let v4 = Subnet {
            ip: "10.77.0.1".parse().unwrap(),
            prefix: 24,
        };
        assert!(v4.contains(&"10.77.0.200".parse().unwrap()));
        assert!(!v4.contains(&"10.77.1.1".parse().unwrap()));
        assert!(!v4.contains(&"fd77::1".parse().unwrap()));
        let v6 = Subnet {
            ip: "fd77::1".parse().unwrap(),
            prefix: 64,
        };
        assert!(v6.contains(&"fd77::ffff:1".parse().unwrap()));
        assert!(!v6.contains(&"fd77:0:0:1::1".parse().unwrap()));
        let host = Subnet {
            ip: "10.0.0.1".parse().unwrap(),
            prefix: 128,
        };
        assert!(
            !host.contains(&"10.0.0.1".parse().unwrap()),
            "no network, no neighbours"
        );
    }

    #[test]
    fn the_kernel_answers() {
        let interfaces = list().unwrap();
        assert!(interfaces.values().all(|interface| interface.name != "lo"));
    }
}
