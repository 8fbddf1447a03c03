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

use crate::request::{self, Refusal};

const PREFIX: &str = "/https/";

/// What only browsers say of a request. They would take all sites with the prefix for one.
static OF_BROWSERS: [HeaderName; 2] = [HeaderName::from_static("sec-fetch-site"), header::ORIGIN];

/// Fields of an answer that speak of its site, and would be believed of this machine.
static OF_SITES: [HeaderName; 8] = [
    header::SET_COOKIE,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
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

/// Whether a request has the prefix.
pub(crate) fn is_asked(target: &Uri) -> bool {
    target.scheme().is_none() && target.path().starts_with(PREFIX)
}

/// The URL that a request with the prefix means.
pub(crate) fn target<B>(request: &Request<B>) -> Result<(Uri, Prefix), Refusal> {
    let fields = request.headers();
    if OF_BROWSERS.iter().any(|name| fields.contains_key(name)) {
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
    Ok((url, prefix))
}

impl Prefix {
    /// The client must mean this machine: a name that was made to lead here would let whoever made
    /// it read what it is answered.
    fn of(fields: &HeaderMap) -> Result<Prefix, Refusal> {
        let host = request::host(fields)?;
        let host = host.ok_or(request::bad("/https/ needs a Host field"))?;
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        let is_here = name.eq_ignore_ascii_case("localhost")
            || name.parse().is_ok_and(|at: IpAddr| at.is_loopback());
        match is_here {
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
pub(crate) fn prepare(fields: &mut HeaderMap) {
    // Cookies of this machine's other servers, if of anybody.
    fields.remove(header::COOKIE);
    // Pages come in a coding that is read here.
    let coding = match takes_gzip(fields) {
        true => "gzip",
        false => "identity",
    };
    fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding));
    if !fields.contains_key(header::AUTHORIZATION) {
        // Where links lead depends on how the client comes here, so what it has may be another
        // page. Whether that here is right, the store finds out.
        fields.remove(header::IF_NONE_MATCH);
        fields.remove(header::IF_MODIFIED_SINCE);
    }
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

/// Makes of an answer's fields those that the client gets.
pub(crate) fn remap(fields: &mut HeaderMap, url: &Uri, prefix: &Prefix) {
    for name in &OF_SITES {
        fields.remove(name);
    }
    // A browser that is sent here all the same is to run nothing, and to guess nothing.
    fields.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    fields.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        if let Entry::Occupied(mut entry) = fields.entry(name)
            && let Some(here) = redirected(entry.get(), url, prefix)
        {
            entry.insert(here);
        }
    }
}

fn redirected(to: &HeaderValue, url: &Uri, prefix: &Prefix) -> Option<HeaderValue> {
    let from = Url::parse(&url.to_string()).ok()?;
    let to = from.join(to.to_str().ok()?).ok()?;
    HeaderValue::from_str(&prefix.of_url(&to)?).ok()
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
        assert!(is_asked(request.uri()), "{path}");
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
        assert!(!is_asked(&"/http/a.example/".parse().unwrap()));
        assert!(!is_asked(&"/httpsa".parse().unwrap()));
        assert!(!is_asked(&"http://a.example/https/x".parse().unwrap()));
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
        ] {
            let refused = asked(path, &[("host", "localhost"), field]).unwrap_err();
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{field:?}");
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
            prepare(&mut fields);
            assert_eq!(fields[header::ACCEPT_ENCODING], goes_on, "{said:?}");
            assert_eq!(fields.len(), 1, "{fields:?}");
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
            remap(&mut fields, &url, &prefix);
            assert_eq!(fields[header::LOCATION], here);
            assert!(!fields.contains_key(header::SET_COOKIE));
            assert_eq!(
                fields[header::CONTENT_SECURITY_POLICY],
                "sandbox; default-src 'none'"
            );
        }
    }
}
