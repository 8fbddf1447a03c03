//! A request for an object, as the store and the rules of caching look at it.

use guid::Guid;
use http::{HeaderMap, HeaderName, Method, Uri, header, request::Parts};
use hyper::Request;
use webcache_core::object_id;

use crate::{
    digest::Known,
    headers::{self, Directives, directives},
    rules,
    store::Stored,
};

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) url: Uri,
    pub(crate) text: String,
    /// Without what is for the client's hop alone.
    pub(crate) parts: Parts,
    pub(crate) directives: Directives,
    /// The digest that the body has to have.
    pub(crate) known: Option<Known>,
    /// Fields as the rules of caching look at them: without the client's own conditions, which
    /// are held against what the store has.
    pub(crate) plain: HeaderMap,
}

impl Wanted {
    pub(crate) fn new(url: Uri, parts: Parts) -> Wanted {
        Wanted::known(url, parts, None)
    }

    /// What an index page has named the digest of (Q42), if the URL does not name one itself.
    pub(crate) fn known(url: Uri, mut parts: Parts, learned: Option<Known>) -> Wanted {
        let named = Known::of_url(&url);
        headers::strip(&mut parts.headers);
        let mut plain = parts.headers.clone();
        for name in [
            // It is in the URL already, in one spelling.
            header::HOST,
            header::CONTENT_LENGTH,
            header::RANGE,
            header::IF_RANGE,
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
        ] {
            plain.remove(name);
        }
        rules::join(&mut plain);
        rules::directives(&mut plain);
        if named.is_some() {
            // Q35: how old what cannot change is does not matter.
            rules::without_directive(&mut plain, "max-age");
        }
        Wanted {
            text: url.to_string(),
            url,
            directives: directives(&parts.headers),
            known: named.or(learned),
            parts,
            plain,
        }
    }

    /// A request with these fields.
    pub(crate) fn with(&self, fields: HeaderMap) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = fields;
        request
    }

    /// As it is held against a stored answer.
    pub(crate) fn against(&self, stored: &Stored) -> Request<()> {
        let mut fields = self.plain.clone();
        if stored.meta.strict {
            rules::without_directive(&mut fields, "max-stale");
        }
        self.with(fields)
    }
}

/// Fields of a request that go to a home with it; what an answer that is shared may vary with.
pub(crate) const CARRIED: [HeaderName; 4] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::USER_AGENT,
];

/// Further fields that say nothing of who asks or what for: requests that have no others are put
/// to peers (Q31).
const HARMLESS: [&str; 35] = [
    "cache-control",
    "cargo-protocol",
    "connection",
    "content-length",
    "dnt",
    "host",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "max-forwards",
    "npm-auth-type",
    "npm-command",
    "npm-in-ci",
    "npm-scope",
    "npm-session",
    "pacote-integrity",
    "pacote-pkg-id",
    "pacote-req-type",
    "pacote-version",
    "pragma",
    "priority",
    "purpose",
    "range",
    "referer",
    "save-data",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-gpc",
    "upgrade-insecure-requests",
    "via",
];

/// Most bytes of a URL that is put to peers, and of the fields that go with it.
pub(crate) const MAX_URL: usize = 4096;
pub(crate) const MAX_FIELDS: usize = 4096;

/// Whether a request has only fields that say nothing of who asks (Q31).
pub(crate) fn is_anybodys(fields: &HeaderMap) -> bool {
    let mut names = fields.keys().map(HeaderName::as_str);
    names.all(|name| is_carried(name) || HARMLESS.contains(&name))
}

pub(crate) fn is_carried(name: &str) -> bool {
    CARRIED.iter().any(|carried| carried.as_str() == name)
}

impl Wanted {
    /// The `objectId` of its URL, which names it to peers, whatever its answer varies with (Q1).
    pub(crate) fn plain_object(&self) -> Guid {
        object_id(&self.text, [])
    }

    /// Whether who asks, and for what, is nobody's secret, as far as that can be seen: a URL
    /// without a query, and no field but such as all browsers and tools send (Q31).
    pub(crate) fn is_for_peers(&self) -> bool {
        self.url.query().is_none()
            && self.text.len() <= MAX_URL
            && is_anybodys(&self.parts.headers)
            && self.carried_size() <= MAX_FIELDS
    }

    /// What goes to a home with the URL.
    pub(crate) fn carried(&self) -> Vec<(String, Vec<u8>)> {
        let value = |name: &HeaderName| {
            let value = self.plain.get(name)?;
            Some((name.to_string(), value.as_bytes().to_vec()))
        };
        CARRIED.iter().filter_map(value).collect()
    }

    fn carried_size(&self) -> usize {
        let values = CARRIED.iter().filter_map(|name| self.plain.get(name));
        values.map(|value| value.len() + 32).sum()
    }
}
