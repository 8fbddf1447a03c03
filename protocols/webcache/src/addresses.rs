//! Which addresses a home asks on behalf of its peers (Q36).

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use http::Uri;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use parking_lot::Mutex;
use thiserror::Error;

/// Networks that count as if they were public. None unless a person names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>, Outside);

/// Addresses at which others see this node, the latest last. They are no setting: networks are
/// equal whatever these are.
#[derive(Clone, Debug, Default)]
struct Outside(Arc<Mutex<VecDeque<IpAddr>>>);

impl PartialEq for Outside {
    fn eq(&self, _: &Outside) -> bool {
        true
    }
}

impl Eq for Outside {}

/// So many are remembered: anybody may say that it sees us somewhere.
const MAX_OUTSIDE: usize = 64;

/// What is named is no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no network: write it as 10.0.0.0/8 or fd00::/8")]
pub struct NotANetwork(String);

impl Networks {
    /// Reads networks written as `10.0.0.0/8`.
    ///
    /// # Errors
    /// The first that is none.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Networks, NotANetwork> {
        let parse = |text: &S| {
            let text = text.as_ref().trim();
            IpNet::from_str(text).map_err(|_| NotANetwork(text.to_owned()))
        };
        texts
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(|networks| Networks(networks, Outside::default()))
    }

    /// As they are written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(IpNet::to_string).collect()
    }

    /// Whether what is at an address may be asked for on behalf of peers, and given to them.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let own = || is_of(address, &interfaces()) || self.1.0.lock().contains(&address);
        self.names(address) || (is_public(address) && !own())
    }

    /// The same of a port there: one where web servers are, since at any other may be a service
    /// that takes a request for something else. Networks that are named have servers at ports of
    /// their own.
    pub(crate) fn allows_at(&self, address: IpAddr, port: u16) -> bool {
        match is_web_port(port) {
            true => self.allows(address),
            false => port >= 1024 && self.names(address),
        }
    }

    /// This node can be reached at it from elsewhere, or so it is told: what answers there is a
    /// router of its own, if not itself.
    pub(crate) fn is_seen_at(&self, address: IpAddr) {
        let mut outside = self.1.0.lock();
        let address = address.to_canonical();
        outside.retain(|known| *known != address);
        if outside.len() >= MAX_OUTSIDE {
            outside.pop_front();
        }
        outside.push_back(address);
    }

    /// Whether it is an address of one of the networks that a person named.
    pub(crate) fn names(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether a URL may be asked for on behalf of peers, as far as it says itself: its host is
    /// one that others reach as well, and its port one that is allowed there. Addresses of names
    /// are looked at when they are resolved.
    pub(crate) fn allows_url(&self, url: &Uri) -> bool {
        let port = port(url);
        match literal(url) {
            Some(address) => self.allows_at(address, port),
            None if self.0.is_empty() => {
                is_web_port(port) && !is_own_name(url.host().unwrap_or_default())
            }
            None => is_web_port(port) || port >= 1024,
        }
    }
}

/// The networks of this machine's interfaces. Where the system does not say there are none.
fn interfaces() -> Vec<IpNet> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    let network = |found: if_addrs::Interface| {
        let length = match &found.addr {
            if_addrs::IfAddr::V4(address) => address.prefixlen,
            // What shares a link has the first half at least.
            if_addrs::IfAddr::V6(address) => address.prefixlen.min(64),
        };
        IpNet::new(found.ip(), length).ok()
    };
    found.into_iter().filter_map(network).collect()
}

/// Whether an address is one of a machine with these interfaces, or of a network it is in: behind
/// a firewall, maybe, that lets this machine through.
fn is_of(address: IpAddr, interfaces: &[IpNet]) -> bool {
    interfaces.iter().any(|network| network.contains(&address))
}

/// Where web servers are.
pub(crate) fn is_web_port(port: u16) -> bool {
    matches!(port, 80 | 443 | 8000..=8999)
}

/// The port of a URL.
pub(crate) fn port(url: &Uri) -> u16 {
    url.port_u16().unwrap_or_else(|| default_port(url))
}

/// The port that goes without saying.
pub(crate) fn default_port(url: &Uri) -> u16 {
    match url.scheme_str() {
        Some("https") => 443,
        _ => 80,
    }
}

/// What IANA's registries of special-purpose addresses do not call globally reachable.
const NOT_PUBLIC_4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 31, 196, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// Of the addresses that begin with 2000::/3; those that carry one of IPv4 (Teredo, 6to4) among
/// them. All others are refused too: 64:ff9b::/96, which carries one as well, fc00::/7, and so on.
const NOT_PUBLIC_6: [Ipv6Net; 4] = [
    v6([0x2001, 0], 23),
    v6([0x2001, 0xdb8], 32),
    v6([0x2002, 0], 16),
    v6([0x3fff, 0], 20),
];

const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0], 3);

const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(words: [u16; 2], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(words[0], words[1], 0, 0, 0, 0, 0, 0), length)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_4
            .iter()
            .any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST.contains(&address)
                && !NOT_PUBLIC_6
                    .iter()
                    .any(|network| network.contains(&address))
        }
    }
}

/// The address that a URL names instead of a host.
pub(crate) fn literal(url: &Uri) -> Option<IpAddr> {
    let host = url.host()?;
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// Names that mean nothing outside of a network of one's own (RFC 6761, RFC 6762, RFC 8375, and
/// those without a dot).
pub(crate) fn is_own_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let last = host.rsplit('.').next().unwrap_or_default();
    !host.contains(['.', ':'])
        || host.ends_with(".home.arpa")
        || [
            "localhost",
            "local",
            "internal",
            "lan",
            "test",
            "invalid",
            "onion",
        ]
        .contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_asked_for_others() {
        let none = Networks::default();
        for refused in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.5",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!none.allows(refused.parse().unwrap()), "{refused}");
        }
        for allowed in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "::ffff:9.9.9.9",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(none.allows(allowed.parse().unwrap()), "{allowed}");
        }
    }

    #[test]
    fn networks_of_one_s_own_are_not_asked_though_they_are_public() {
        let own: Vec<IpNet> = ["203.0.114.7/28", "2a02:8108:1:2::7/64"]
            .map(|network| network.parse().unwrap())
            .into();
        for (address, is) in [
            ("203.0.114.7", true),
            ("203.0.114.1", true),
            ("203.0.114.17", false),
            ("2a02:8108:1:2:aaaa::1", true),
            ("2a02:8108:1:3::1", false),
        ] {
            assert_eq!(is_of(address.parse().unwrap(), &own), is, "{address}");
        }
        // Loopback at least.
        assert!(is_of("127.0.0.1".parse().unwrap(), &interfaces()));
        let networks = Networks::default();
        let router = "9.9.9.9".parse().unwrap();
        assert!(networks.allows(router));
        networks
            .clone()
            .is_seen_at("::ffff:9.9.9.9".parse().unwrap());
        assert!(!networks.allows(router));
        for number in 0..MAX_OUTSIDE as u8 {
            networks.is_seen_at([1, 1, 1, number].into());
        }
        assert!(networks.allows(router) && !networks.allows([1, 1, 1, 0].into()));
    }

    #[test]
    fn networks_that_are_named_are_allowed() {
        let networks = Networks::parse(&["10.0.0.0/8", " fd00::/8"]).unwrap();
        for (address, allowed) in [
            ("10.9.9.9", true),
            ("::ffff:10.9.9.9", true),
            ("fd00::1", true),
            ("192.168.0.1", false),
            ("127.0.0.1", false),
            ("fc00::1", false),
        ] {
            assert_eq!(
                networks.allows(address.parse().unwrap()),
                allowed,
                "{address}"
            );
        }
        assert_eq!(networks.texts(), ["10.0.0.0/8", "fd00::/8"]);
        let wrong = Networks::parse(&["10.0.0.0/33"]).unwrap_err().to_string();
        assert!(wrong.contains("10.0.0.0/33"), "{wrong}");
    }

    #[test]
    fn ports_names_and_addresses_are_told() {
        for (url, web) in [
            ("http://a.example/", true),
            ("http://a.example:8080/", true),
            ("http://a.example:22/", false),
            ("http://a.example:6379/", false),
        ] {
            let url = url.parse().unwrap();
            assert_eq!(Networks::default().allows_url(&url), web, "{url}");
        }
        let networks = Networks::parse(&["10.0.0.0/8"]).unwrap();
        for (url, allowed) in [
            ("http://10.0.0.1:3000/", true),
            ("http://10.0.0.1:22/", false),
            // What is listed opens no port anywhere else.
            ("http://9.9.9.9:3000/", false),
            ("http://9.9.9.9:8080/", true),
            ("http://wiki:3000/", true),
        ] {
            assert_eq!(networks.allows_url(&url.parse().unwrap()), allowed, "{url}");
        }
        for url in ["http://wiki/", "http://10.0.0.1/", "http://[::1]/"] {
            assert!(
                !Networks::default().allows_url(&url.parse().unwrap()),
                "{url}"
            );
        }
        for (host, own) in [
            ("localhost", true),
            ("printer", true),
            ("nas.local", true),
            ("git.corp.internal.", true),
            ("x.home.arpa", true),
            ("example.org", false),
            ("local.example.org", false),
        ] {
            assert_eq!(is_own_name(host), own, "{host}");
        }
        let url = "http://[::1]:80/".parse().unwrap();
        assert_eq!(literal(&url), Some("::1".parse().unwrap()));
        assert_eq!(literal(&"http://a.example/".parse().unwrap()), None);
    }
}
