//! Which addresses a home asks on behalf of its peers (Q36).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use http::Uri;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

/// Networks that count as if they were public. None unless a person names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

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
            .map(Networks)
    }

    /// As they are written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(IpNet::to_string).collect()
    }

    /// Whether what is at an address may be asked for on behalf of peers, and given to them.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether a URL's port is one where web servers are; at any other may be a service that takes
    /// a request for something else. Whoever names networks has servers at ports of their own.
    pub(crate) fn allows_port(&self, url: &Uri) -> bool {
        match url.port_u16() {
            None | Some(80 | 443 | 8000..=8999) => true,
            Some(port) => port >= 1024 && !self.0.is_empty(),
        }
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
            assert_eq!(Networks::default().allows_port(&url), web, "{url}");
        }
        let networks = Networks::parse(&["10.0.0.0/8"]).unwrap();
        assert!(networks.allows_port(&"http://10.0.0.1:3000/".parse().unwrap()));
        assert!(!networks.allows_port(&"http://10.0.0.1:22/".parse().unwrap()));
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
