//! The hosts whose TLS ends here: those that a person lists, and no others (Q46).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most hosts in a list: they stand in the authority's certificate.
const MAX_HOSTS: usize = 128;

/// Longest name, and longest part of one, in DNS.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// The port that goes without saying.
const HTTPS: u16 = 443;

/// Hosts, as `example.org`, `*.example.org` (one label more) or `example.org:8443`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Hosts(Vec<Host>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Host {
    name: String,
    /// Whether it is the names below, each with one label more, that are meant.
    is_below: bool,
    port: u16,
}

/// What stands in a list of hosts, and is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{entry:?} is no host whose https can be intercepted: {why}")]
pub struct NotAHost {
    entry: String,
    why: String,
}

impl Hosts {
    /// Reads a list.
    ///
    /// # Errors
    /// Of the first entry that is no host, or all of them.
    pub fn parse(entries: &[String]) -> Result<Hosts, NotAHost> {
        if let Some(entry) = entries.get(MAX_HOSTS) {
            return Err(NotAHost {
                entry: entry.clone(),
                why: format!("it is beyond the {MAX_HOSTS} that may be listed"),
            });
        }
        let read = |entry: &String| {
            Host::parse(entry).map_err(|why| NotAHost {
                entry: entry.clone(),
                why: why.to_owned(),
            })
        };
        let hosts: Result<Vec<Host>, NotAHost> = entries.iter().map(read).collect();
        let mut hosts = hosts?;
        hosts.sort();
        hosts.dedup();
        Ok(Hosts(hosts))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are written in a list, in an order that does not depend on the person's.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(Host::text).collect()
    }

    /// Whether one of them is meant by a name in lower case and a port.
    pub(crate) fn cover(&self, name: &str, port: u16) -> bool {
        self.0.iter().any(|host| host.covers(name, port))
    }

    /// Names that the authority may speak for, each with all that is below it: a certificate
    /// cannot say less.
    pub(super) fn subtrees(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().map(|host| host.name.clone()).collect();
        names.dedup();
        names
    }
}

impl Host {
    fn parse(entry: &str) -> Result<Host, &'static str> {
        let entry = entry.trim().to_ascii_lowercase();
        let (name, port) = match entry.rsplit_once(':') {
            _ if entry.starts_with('[') => return Err("an address; TLS asks for names"),
            None => (entry.as_str(), HTTPS),
            Some((name, port)) => match port.parse() {
                Ok(port) if port != 0 => (name, port),
                _ => return Err("behind the colon stands a port, 1 to 65535"),
            },
        };
        let (name, is_below) = match name.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (name, false),
        };
        if name.parse::<IpAddr>().is_ok() {
            return Err("an address; TLS asks for names");
        }
        if name.contains('*') {
            return Err("a * stands for the whole first part of a name, as in *.example.org");
        }
        if is_below && !name.contains('.') {
            return Err("a * needs two parts behind it, as in *.example.org");
        }
        if name.len() > MAX_NAME || !name.split('.').all(is_label) {
            return Err(
                "a name has letters, digits, hyphens and dots, as in example.org; write others \
                 as xn--...",
            );
        }
        let last = name.rsplit('.').next().unwrap_or(name);
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("the last part of a name is no number");
        }
        Ok(Host {
            name: name.to_owned(),
            is_below,
            port,
        })
    }

    fn covers(&self, name: &str, port: u16) -> bool {
        let is_name = match self.is_below {
            false => name == self.name,
            true => name
                .strip_suffix(&self.name)
                .and_then(|before| before.strip_suffix('.'))
                .is_some_and(is_label),
        };
        is_name && port == self.port
    }

    fn text(&self) -> String {
        let below = if self.is_below { "*." } else { "" };
        match self.port {
            HTTPS => format!("{below}{}", self.name),
            port => format!("{below}{}:{port}", self.name),
        }
    }
}

/// Whether it can stand between two dots.
fn is_label(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_LABEL).contains(&text.len())
        && text.bytes().all(is_plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl TryFrom<Vec<String>> for Hosts {
    type Error = NotAHost;

    fn try_from(entries: Vec<String>) -> Result<Self, NotAHost> {
        Hosts::parse(&entries)
    }
}

impl From<Hosts> for Vec<String> {
    fn from(hosts: Hosts) -> Self {
        hosts.texts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(entries: &[&str]) -> Result<Hosts, NotAHost> {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        Hosts::parse(&entries)
    }

    #[test]
    fn listed_hosts_are_covered_and_no_others() {
        let hosts = hosts(&[
            "B.Example",
            "*.a.example",
            "localhost:8443",
            " b.example ",
            "xn--bcher-kva.example",
        ])
        .unwrap();
        for (name, port, is_covered) in [
            ("b.example", 443, true),
            ("b.example", 8443, false),
            ("www.b.example", 443, false),
            ("bb.example", 443, false),
            ("a.example", 443, false),
            ("x.a.example", 443, true),
            ("xa.example", 443, false),
            ("y.x.a.example", 443, false),
            (".a.example", 443, false),
            ("*.a.example", 443, false),
            ("localhost", 8443, true),
            ("localhost", 443, false),
            ("xn--bcher-kva.example", 443, true),
            ("", 443, false),
        ] {
            assert_eq!(hosts.cover(name, port), is_covered, "{name}:{port}");
        }
        assert_eq!(
            hosts.texts(),
            [
                "*.a.example",
                "b.example",
                "localhost:8443",
                "xn--bcher-kva.example"
            ]
        );
        assert_eq!(Hosts::parse(&hosts.texts()).unwrap(), hosts);
    }

    #[test]
    fn what_is_no_host_is_named() {
        for entry in [
            "",
            "*",
            "*.org",
            "*.*.example",
            "w*.example.org",
            "www.*.org",
            "127.0.0.1",
            "1.2.3",
            "[::1]",
            "::1",
            "a.example:0",
            "a.example:x",
            "a.example:65536",
            "https://a.example",
            "a.example/x",
            "me@a.example",
            "a..example",
            "a.example.",
            ".example.org",
            "-a.example",
            "bücher.example",
            "a b.example",
        ] {
            let error = hosts(&["good.example", entry]).unwrap_err().to_string();
            assert!(error.contains(&format!("{entry:?}")), "{entry}: {error}");
        }
        let many: Vec<String> = (0..=MAX_HOSTS).map(|at| format!("h{at}.example")).collect();
        let error = Hosts::parse(&many).unwrap_err().to_string();
        assert!(error.contains("h128.example"), "{error}");
        assert!(Hosts::parse(&many[1..]).is_ok());
    }
}
