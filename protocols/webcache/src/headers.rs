//! Header fields that are for one hop, and those that a proxy adds (Q17, Q18).

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Version,
    header::{self, Entry},
};

pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Fields that end at the next hop whatever `Connection` says (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Bytes of all fields, as they are written.
pub(crate) fn size(headers: &HeaderMap) -> usize {
    let fields = headers.iter();
    fields
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

/// Removes what is for this hop alone.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove(header::TRAILER);
}

/// Adds this proxy to `Via`.
pub(crate) fn add_via(headers: &mut HeaderMap, version: Version, name: &str) {
    let version = match version {
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    append(headers, header::VIA, &format!("{version} {name}"));
}

/// Whether a message has been here before.
pub(crate) fn has_passed(headers: &HeaderMap, name: &str) -> bool {
    let values = headers.get_all(header::VIA).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut hops = values.flat_map(|value| value.split(','));
    hops.any(|hop| hop.split_ascii_whitespace().nth(1) == Some(name))
}

fn append(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    // Made of tokens and numbers by this crate.
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.append(name, value);
    }
}

/// What the cache did (RFC 9211).
#[derive(Clone, Debug)]
pub(crate) enum CacheStatus {
    /// It had it.
    Hit {
        ttl: Duration,
        detail: Option<&'static str>,
    },
    /// The request went on.
    Forwarded {
        /// Why: a token of the registry.
        why: &'static str,
        status: Option<StatusCode>,
        stored: bool,
        collapsed: bool,
        detail: Option<&'static str>,
    },
}

/// What a peer's cache did for this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerStatus {
    /// It had it.
    Hit,
    /// It asked the origin.
    Fetched,
    /// It said that what is here is current.
    Current,
}

/// What a peer is called in `Cache-Status`: which one it was is nobody's business.
const PEER: &str = "hedgerow-peer";

impl CacheStatus {
    pub(crate) fn forwarded(why: &'static str) -> CacheStatus {
        CacheStatus::Forwarded {
            why,
            status: None,
            stored: false,
            collapsed: false,
            detail: None,
        }
    }

    pub(crate) fn add_to(&self, headers: &mut HeaderMap, name: &str) {
        append(headers, CACHE_STATUS, &self.text(name));
    }

    /// Puts what a peer did before what this cache did, which is the last member.
    pub(crate) fn put_before(
        headers: &mut HeaderMap,
        peer: PeerStatus,
        ttl: Duration,
        own: &CacheStatus,
        name: &str,
    ) {
        let own = own.text(name);
        let said = match peer {
            PeerStatus::Hit | PeerStatus::Current => format!("{PEER}; hit; ttl={}", ttl.as_secs()),
            PeerStatus::Fetched => format!("{PEER}; fwd=miss; stored"),
        };
        let values = headers.get_all(CACHE_STATUS).iter();
        let mut values: Vec<HeaderValue> = values.filter(|value| **value != own).cloned().collect();
        for text in [said, own] {
            // Made of tokens and numbers by this crate.
            values.extend(HeaderValue::from_str(&text));
        }
        headers.remove(CACHE_STATUS);
        for value in values {
            headers.append(CACHE_STATUS, value);
        }
    }

    fn text(&self, name: &str) -> String {
        let mut text = name.to_owned();
        let detail = match self {
            CacheStatus::Hit { ttl, detail } => {
                text += &format!("; hit; ttl={}", ttl.as_secs());
                detail
            }
            CacheStatus::Forwarded {
                why,
                status,
                stored,
                collapsed,
                detail,
            } => {
                text += &format!("; fwd={why}");
                if let Some(status) = status {
                    text += &format!("; fwd-status={}", status.as_u16());
                }
                if *stored {
                    text += "; stored";
                }
                if *collapsed {
                    text += "; collapsed";
                }
                detail
            }
        };
        if let Some(detail) = detail {
            text += &format!("; detail={detail}");
        }
        text
    }
}

/// What `Cache-Control` says, as far as the proxy itself has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directives {
    pub(crate) only_if_cached: bool,
    /// Of an answer: must not be given when it is stale (RFC 9111, 4.2.4).
    pub(crate) strict: bool,
    pub(crate) stale_if_error: u64,
    pub(crate) stale_while_revalidate: u64,
    pub(crate) no_cache: bool,
}

pub(crate) fn directives(headers: &HeaderMap) -> Directives {
    let mut found = Directives::default();
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        let seconds = || argument.trim().trim_matches('"').parse().unwrap_or(0);
        match name.trim().to_ascii_lowercase().as_str() {
            "only-if-cached" => found.only_if_cached = true,
            "no-cache" => (found.no_cache, found.strict) = (true, true),
            "must-revalidate" | "proxy-revalidate" | "s-maxage" => found.strict = true,
            "stale-if-error" => found.stale_if_error = seconds(),
            "stale-while-revalidate" => found.stale_while_revalidate = seconds(),
            _ => {}
        }
    }
    found
}

/// One fewer hop that a message may make; `false` if it may make none.
pub(crate) fn count_down(headers: &mut HeaderMap) -> bool {
    let Entry::Occupied(mut entry) = headers.entry(header::MAX_FORWARDS) else {
        return true;
    };
    let left: Option<u64> = entry.get().to_str().ok().and_then(|text| text.parse().ok());
    match left {
        Some(0) => false,
        Some(left) => {
            entry.insert(HeaderValue::from(left - 1));
            true
        }
        // None of ours to understand (RFC 9110, 7.6.2): as if it were not there.
        None => true,
    }
}
