//! `https` for clients that are pointed at the proxy instead of a server: `/https/HOST/PATH` of the
//! proxy is `https://HOST/PATH` (Q39, Q40).

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{self, Entry},
    uri::Authority,
};
use hyper::Request;
use url::Url;

use crate::{
    documents, headers,
    request::{self, Refusal},
};

const PREFIX: &str = "/https/";

/// Fields of an answer that speak of its site, and would be believed of this machine. All that
/// begins with `access-control-` goes too.
static OF_SITES: [HeaderName; 6] = [
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::ALT_SVC,
    header::CONTENT_SECURITY_POLICY,
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("service-worker-allowed"),
];

/// Where a client is pointed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// How URLs with the prefix begin, as this client reaches them.
    base: String,
}

/// Whether a request has the prefix: one of a client that is pointed at the proxy, or that sends to
/// it, as its proxy, what it has for itself at `port`.
pub(crate) fn is_asked(target: &Uri, port: u16) -> bool {
    let is_here = match target.authority() {
        None => true,
        Some(authority) => target.scheme_str() == Some("http") && is_here(authority, port),
    };
    is_here && target.path().starts_with(PREFIX)
}

/// Whether what listens at `port` of this machine is meant.
pub(crate) fn is_here(authority: &Authority, port: u16) -> bool {
    authority.port_u16().unwrap_or(80) == port && is_this_machine(authority)
}

fn is_this_machine(authority: &Authority) -> bool {
    let name = authority.host();
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|at: IpAddr| at.is_loopback())
}

/// Whether a browser asks, which would take all sites with the prefix for one. Node's own `fetch`
/// says a mode, and no more.
fn is_browser(fields: &HeaderMap) -> bool {
    let agent = fields.get(header::USER_AGENT);
    let is_named = agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"));
    let mut names = fields.keys().map(HeaderName::as_str);
    is_named
        || names.any(|name| {
            name == "origin" || (name.starts_with("sec-fetch-") && name != "sec-fetch-mode")
        })
}

/// The URL that a request with the prefix means.
pub(crate) fn target<B>(request: &Request<B>) -> Result<(Uri, Prefix), Refusal> {
    let fields = request.headers();
    if is_browser(fields) {
        return Err(Refusal {
            status: StatusCode::FORBIDDEN,
            why: "/https/ is not for browsers, which would take all sites for one: \
                  set this proxy as the browser's proxy",
        });
    }
    if request.method() == Method::TRACE {
        return Err(request::NO_TRACE);
    }
    let prefix = Prefix::of(fields)?;
    let text = request
        .uri()
        .path_and_query()
        .map_or("", |path| path.as_str());
    let behind = text.strip_prefix(PREFIX).unwrap_or_default();
    let end = behind.find(['/', '?']).unwrap_or(behind.len());
    let (authority, path) = behind.split_at(end);
    let path = without_namespace(path);
    let authority: Authority = authority.parse().map_err(|_| {
        request::bad("/https/ is followed by a host, as in /https/pypi.org/simple/")
    })?;
    request::check_authority(&authority)?;
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    };
    let url = Uri::builder()
        .scheme("https")
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|_| request::bad("what follows /https/ is no URL"))?;
    if fields.contains_key(header::AUTHORIZATION) && !url.path().starts_with("/v2/") {
        return Err(Refusal {
            status: StatusCode::FORBIDDEN,
            why: "/https/ takes no passwords or tokens: to the client all servers behind it are \
                  one, so it could give them to another; ask the server itself",
        });
    }
    Ok((url, prefix))
}

/// Without what containerd tells a mirror: which registry it stands for, as the prefix does.
fn without_namespace(path: &str) -> &str {
    match path.split_once("?ns=") {
        Some((before, name)) if before.starts_with("/v2/") && !name.contains('&') => before,
        _ => path,
    }
}

impl Prefix {
    /// The client must mean this machine: a name that was made to lead here would let whoever made
    /// it read what it is answered.
    fn of(fields: &HeaderMap) -> Result<Prefix, Refusal> {
        let host = request::host(fields)?;
        let host = host.ok_or(request::bad("/https/ needs a Host field"))?;
        match is_this_machine(&host) {
            true => Ok(Prefix {
                base: format!("http://{host}{PREFIX}"),
            }),
            false => Err(request::bad(
                "/https/ is for this machine: ask for it at 127.0.0.1 or localhost",
            )),
        }
    }

    /// How a URL is reached with the prefix; `None` for one that is none of `https`.
    pub(crate) fn of_url(&self, url: &Url) -> Option<String> {
        let is_plain = url.scheme() == "https" && url.username().is_empty();
        let rest = is_plain.then(|| url.as_str().strip_prefix("https://"))??;
        Some(format!("{}{rest}", self.base))
    }

    /// How links to hosts of `https` begin.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }
}

/// Makes of the fields of a client's request those that go on.
pub(crate) fn prepare(fields: &mut HeaderMap, url: &Uri) {
    headers::strip(fields);
    // Cookies of this machine's other servers, if of anybody; and where a link was.
    fields.remove(header::COOKIE);
    fields.remove(header::REFERER);
    // Pages come in a coding that is read here.
    let coding = match takes_gzip(fields) {
        true => "gzip",
        false => "identity",
    };
    fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding));
    if is_released(fields, url) {
        fields.remove(header::CACHE_CONTROL);
        fields.remove(header::PRAGMA);
    }
    // Where links of a page lead depends on how the client comes here, so what it has may be
    // another page. Whether that here is right, the store finds out. Cargo's have no links.
    if !fields.contains_key(header::AUTHORIZATION) && !documents::is_crate(url.path()) {
        fields.remove(header::IF_NONE_MATCH);
        fields.remove(header::IF_MODIFIED_SINCE);
    }
}

/// Whether Maven asks for what is never changed once it is released. It says `no-store` of
/// everything, and has its own ways to find out what is new.
fn is_released(fields: &HeaderMap, url: &Uri) -> bool {
    let agent = fields.get(header::USER_AGENT);
    let is_maven = agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Apache-Maven/"));
    let path = url.path();
    is_maven && !path.contains("maven-metadata") && !path.contains("-SNAPSHOT")
}

fn takes_gzip(fields: &HeaderMap) -> bool {
    let values = fields.get_all(header::ACCEPT_ENCODING).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut codings = texts.flat_map(|text| text.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().trim_start_matches("q=");
        let refused = weight.parse().is_ok_and(|weight: f32| weight == 0.0);
        matches!(name.trim(), "gzip" | "x-gzip" | "*") && !refused
    })
}

/// Makes of an answer's fields those that the client gets. A redirect to another server leads past
/// the prefix where the request may have had a secret: the client would send it there as well.
pub(crate) fn remap(fields: &mut HeaderMap, url: &Uri, prefix: &Prefix, secret: bool) {
    let names: Vec<HeaderName> = fields.keys().cloned().collect();
    let of_site = |name: &&HeaderName| {
        OF_SITES.contains(name) || name.as_str().starts_with("access-control-")
    };
    for name in names.iter().filter(of_site) {
        fields.remove(name);
    }
    // A browser that is sent here all the same is to run nothing, guess nothing, and show nothing
    // in another's page.
    for (name, value) in [
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        if let Entry::Occupied(mut entry) = fields.entry(name)
            && let Some(to) = redirected(entry.get(), url, prefix, secret)
        {
            entry.insert(to);
        }
    }
}

fn redirected(to: &HeaderValue, url: &Uri, prefix: &Prefix, secret: bool) -> Option<HeaderValue> {
    let from = Url::parse(&url.to_string()).ok()?;
    let to = from.join(to.to_str().ok()?).ok()?;
    let here = match secret && to.origin() != from.origin() {
        true => to.into(),
        false => prefix.of_url(&to)?,
    };
    HeaderValue::from_str(&here).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str, fields: &[(&str, &str)]) -> Result<(Uri, Prefix), Refusal> {
        let mut request = Request::builder().uri(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        assert!(is_asked(request.uri(), 3128), "{path}");
        target(&request)
    }

    #[test]
    fn urls_with_the_prefix_are_those_behind_it() {
        let here = [("host", "127.0.0.1:3128")];
        for (path, url) in [
            ("/https/pypi.org/simple/x/", "https://pypi.org/simple/x/"),
            (
                "/https/a.example:8443/x?y=/z",
                "https://a.example:8443/x?y=/z",
            ),
            ("/https/a.example", "https://a.example/"),
            (
                "/https/a.example/v2/x?ns=b.example",
                "https://a.example/v2/x",
            ),
            ("/https/a.example/x?ns=b", "https://a.example/x?ns=b"),
            (
                "/https/a.example/v2/x?ns=b&c",
                "https://a.example/v2/x?ns=b&c",
            ),
            ("/https/a.example?x", "https://a.example/?x"),
            (
                "/https/[2001:db8::1]:8443/x",
                "https://[2001:db8::1]:8443/x",
            ),
            (
                "/https/a.example//x/../y%2f",
                "https://a.example//x/../y%2f",
            ),
        ] {
            assert_eq!(asked(path, &here).unwrap().0, url, "{path}");
        }
        for path in [
            "/https/",
            "/https//x",
            "/https/?x",
            "/https/a.example:70000/",
            "/https/me@a.example/",
            "/https/me:secret@a.example/x",
        ] {
            let refused = asked(path, &here).unwrap_err();
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}");
        }
        for (target, is_here) in [
            ("/http/a.example/", false),
            ("/httpsa", false),
            ("http://a.example/https/x", false),
            ("http://127.0.0.1:3128/https/a.example/", true),
            ("http://localhost:3128/https/a.example/", true),
            ("http://127.0.0.1:3129/https/a.example/", false),
            ("http://127.0.0.1:3128/x", false),
        ] {
            assert_eq!(
                is_asked(&target.parse().unwrap(), 3128),
                is_here,
                "{target}"
            );
        }
    }

    #[test]
    fn only_programs_of_this_machine_are_answered() {
        let path = "/https/a.example/";
        for host in [
            "127.0.0.1:3128",
            "localhost:1",
            "LOCALHOST",
            "[::1]:3128",
            "127.8.0.1",
        ] {
            let (_, prefix) = asked(path, &[("host", host)]).unwrap();
            assert_eq!(prefix.base, format!("http://{host}/https/"));
        }
        for fields in [
            &[][..],
            &[("host", "rebound.example:3128")],
            &[("host", "10.0.0.1:3128")],
            &[("host", "127.0.0.1.example")],
            &[("host", "localhost"), ("host", "localhost")],
        ] {
            let refused = asked(path, fields).unwrap_err();
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{fields:?}");
        }
        for field in [
            ("origin", "http://evil.example"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-dest", "image"),
            ("user-agent", "Mozilla/5.0"),
            ("authorization", "Bearer x"),
        ] {
            let refused = asked(path, &[("host", "localhost"), field]).unwrap_err();
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{field:?}");
        }
    }

    #[test]
    fn what_of_node_and_containerd_looks_like_others_is_answered() {
        let here = ("host", "localhost");
        assert!(asked("/https/a.example/", &[here, ("sec-fetch-mode", "cors")]).is_ok());
        assert!(
            asked(
                "/https/a.example/v2/x",
                &[here, ("authorization", "Bearer x")]
            )
            .is_ok()
        );
    }

    #[test]
    fn maven_may_have_what_is_kept_of_releases() {
        for (agent, path, goes_on) in [
            ("Apache-Maven/3.9", "/maven2/a/1/a-1.jar", false),
            ("Apache-Maven/3.9", "/maven2/a/maven-metadata.xml", true),
            (
                "Apache-Maven/3.9",
                "/maven2/a/1-SNAPSHOT/a-1-SNAPSHOT.jar",
                true,
            ),
            ("curl/8", "/maven2/a/1/a-1.jar", true),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(header::USER_AGENT, HeaderValue::from_static(agent));
            fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            fields.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
            prepare(
                &mut fields,
                &format!("https://a.example{path}").parse().unwrap(),
            );
            assert_eq!(
                fields.contains_key(header::CACHE_CONTROL),
                goes_on,
                "{path}"
            );
            assert_eq!(fields.contains_key(header::PRAGMA), goes_on, "{path}");
        }
    }

    #[test]
    fn pages_come_as_they_can_be_read_here() {
        for (said, goes_on) in [
            (Some("gzip, deflate, br"), "gzip"),
            (Some("br;q=1.0, gzip;q=0.5"), "gzip"),
            (Some("*"), "gzip"),
            (Some("gzip;q=0"), "identity"),
            (Some("br"), "identity"),
            (Some("identity"), "identity"),
            (None, "identity"),
        ] {
            let mut fields = HeaderMap::new();
            if let Some(said) = said {
                fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(said));
            }
            fields.insert(header::COOKIE, HeaderValue::from_static("a=b"));
            fields.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"x\""));
            // Cargo's offer to speak HTTP/2 is for this hop.
            let hop = HeaderValue::from_static("Upgrade, HTTP2-Settings");
            fields.insert(header::CONNECTION, hop);
            fields.insert("http2-settings", HeaderValue::from_static("AAMAAABk"));
            let mut of_cargo = fields.clone();
            prepare(&mut fields, &"https://a.example/x".parse().unwrap());
            assert_eq!(fields[header::ACCEPT_ENCODING], goes_on, "{said:?}");
            assert_eq!(fields.len(), 1, "{fields:?}");
            prepare(
                &mut of_cargo,
                &"https://a.example/se/rd/serde".parse().unwrap(),
            );
            assert!(of_cargo.contains_key(header::IF_NONE_MATCH));
        }
    }

    #[test]
    fn redirects_stay_behind_the_prefix() {
        let (url, prefix) = asked("/https/a.example/x/y", &[("host", "localhost:1")]).unwrap();
        for (to, here) in [
            (
                "https://b.example/z?q#f",
                "http://localhost:1/https/b.example/z?q#f",
            ),
            (
                "//b.example:8443/",
                "http://localhost:1/https/b.example:8443/",
            ),
            ("/z", "http://localhost:1/https/a.example/z"),
            ("../z", "http://localhost:1/https/a.example/z"),
            ("http://b.example/z", "http://b.example/z"),
            ("https://me@b.example/z", "https://me@b.example/z"),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(header::LOCATION, HeaderValue::from_static(to));
            fields.insert(header::SET_COOKIE, HeaderValue::from_static("a=b"));
            let all = HeaderValue::from_static("*");
            fields.insert("access-control-expose-headers", all);
            remap(&mut fields, &url, &prefix, false);
            assert_eq!(fields[header::LOCATION], here);
            assert!(!fields.contains_key(header::SET_COOKIE));
            assert!(!fields.contains_key("access-control-expose-headers"));
            assert_eq!(
                fields[header::CONTENT_SECURITY_POLICY],
                "sandbox; default-src 'none'"
            );
        }
    }
    #[test]
    fn a_secret_does_not_go_to_where_a_redirect_leads() {
        let (url, prefix) = asked("/https/a.example/x", &[("host", "localhost:1")]).unwrap();
        for (to, here) in [
            ("https://b.example/z", "https://b.example/z"),
            ("//b.example/z", "https://b.example/z"),
            ("https://a.example:8443/z", "https://a.example:8443/z"),
            ("/z", "http://localhost:1/https/a.example/z"),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(header::LOCATION, HeaderValue::from_static(to));
            remap(&mut fields, &url, &prefix, true);
            assert_eq!(fields[header::LOCATION], here);
        }
    }
}
