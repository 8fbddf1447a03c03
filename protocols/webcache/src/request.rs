//! Which requests are taken (Q16).

use http::{HeaderMap, StatusCode, Uri, header, uri::Authority};
use hyper::{Method, Request};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) why: &'static str,
}

/// What is asked with `TRACE` goes nowhere.
pub(crate) const NO_TRACE: Refusal = Refusal {
    status: StatusCode::METHOD_NOT_ALLOWED,
    why: "TRACE is not forwarded",
};

pub(crate) const fn bad(why: &'static str) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        why,
    }
}

/// The authority that a `CONNECT` asks for.
pub(crate) fn tunnel_target<B>(request: &Request<B>) -> Result<Authority, Refusal> {
    let authority = request.uri().authority().cloned();
    let authority = authority.ok_or(bad("CONNECT needs a host and a port"))?;
    check_authority(&authority)?;
    if authority.port_u16().is_none_or(|port| port == 0) {
        return Err(bad("CONNECT needs a port"));
    }
    check_host(request.headers(), &authority, authority.port_u16())?;
    Ok(authority)
}

/// The URL that is asked for.
pub(crate) fn target<B>(request: &Request<B>) -> Result<Uri, Refusal> {
    let uri = request.uri();
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(bad("https goes through CONNECT")),
        Some(_) => return Err(bad("only http is forwarded")),
        None => {
            return Err(bad(
                "this is a proxy: set it as http_proxy, and ask for http://..., or ask it for \
                 /https/HOST/PATH",
            ));
        }
    }
    let authority = uri.authority().ok_or(bad("no host"))?;
    check_authority(authority)?;
    check_host(request.headers(), authority, Some(80))?;
    if request.method() == Method::TRACE {
        return Err(NO_TRACE);
    }
    Ok(uri.clone())
}

/// The URL that is asked for on a connection to a host whose TLS ends here (Q48). Of other hosts
/// nothing is asked on it: the client believes that it speaks to this one.
pub(crate) fn within<B>(request: &Request<B>, host: &Authority) -> Result<Uri, Refusal> {
    const ELSEWHERE: Refusal = Refusal {
        status: StatusCode::MISDIRECTED_REQUEST,
        why: "the request names another host than the connection is to",
    };
    match *request.method() {
        Method::TRACE => return Err(NO_TRACE),
        Method::CONNECT => return Err(bad("no CONNECT on a connection to a host")),
        _ => {}
    }
    let uri = request.uri();
    let port = |authority: &Authority| authority.port_u16().unwrap_or(443);
    let is_host = |other: &Authority| {
        other.host().eq_ignore_ascii_case(host.host()) && port(other) == port(host)
    };
    if let Some(authority) = uri.authority() {
        check_authority(authority)?;
        if uri.scheme_str() != Some("https") || !is_host(authority) {
            return Err(ELSEWHERE);
        }
    }
    if self::host(request.headers())?.is_some_and(|named| !is_host(&named)) {
        return Err(ELSEWHERE);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if !path.starts_with(['/', '?']) {
        return Err(bad("the request names no path"));
    }
    Uri::builder()
        .scheme("https")
        .authority(host.clone())
        .path_and_query(path)
        .build()
        .map_err(|_| bad("the request names no path"))
}

/// The URL of something that the proxy can get by itself, if it is one: `https` too.
pub(crate) fn url(uri: &Uri) -> Result<Uri, Refusal> {
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(bad("a URL begins with http:// or https://"));
    }
    check_authority(uri.authority().ok_or(bad("no host"))?)?;
    Ok(uri.clone())
}

pub(crate) fn check_authority(authority: &Authority) -> Result<(), Refusal> {
    match authority.as_str().contains('@') {
        true => Err(bad("no user and password in a URL")),
        false if authority.host().is_empty() => Err(bad("no host")),
        false if !has_port_or_none(authority) => Err(bad("a port is 0 to 65535")),
        false => Ok(()),
    }
}

/// The parser takes a port that is none for no port.
fn has_port_or_none(authority: &Authority) -> bool {
    let behind = authority.as_str().strip_prefix(authority.host());
    match behind.and_then(|behind| behind.strip_prefix(':')) {
        None | Some("") => true,
        Some(_) => authority.port_u16().is_some(),
    }
}

/// `Host` says the same as the target, once, or is not there: two readers of one request must
/// not see two hosts.
fn check_host(
    headers: &HeaderMap,
    authority: &Authority,
    default_port: Option<u16>,
) -> Result<(), Refusal> {
    let Some(host) = host(headers)? else {
        return Ok(());
    };
    let port = |authority: &Authority| authority.port_u16().or(default_port);
    let same = host.host().eq_ignore_ascii_case(authority.host()) && port(&host) == port(authority);
    match same {
        true => Ok(()),
        false => Err(bad("the Host field and the URL name different hosts")),
    }
}

/// What the one `Host` field says.
pub(crate) fn host(headers: &HeaderMap) -> Result<Option<Authority>, Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let Some(host) = hosts.next() else {
        return Ok(None);
    };
    if hosts.next().is_some() {
        return Err(bad("two Host fields"));
    }
    let host: Authority = host
        .to_str()
        .ok()
        .and_then(|host| host.parse().ok())
        .ok_or(bad("a Host field that is none"))?;
    check_authority(&host)?;
    Ok(Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, target: &str, hosts: &[&str]) -> Result<Uri, Refusal> {
        let mut request = Request::builder().method(method).uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        let host = "a.example:443".parse().unwrap();
        within(&request.body(()).unwrap(), &host)
    }

    #[test]
    fn on_a_connection_to_a_host_only_that_host_is_asked() {
        for (target, hosts) in [
            ("/x?y=z", &["a.example"][..]),
            ("/x?y=z", &["A.example:443"]),
            ("/x?y=z", &[]),
            ("https://A.example/x?y=z", &["a.example"]),
            ("https://a.example:443/x?y=z", &[]),
        ] {
            let url = asked(Method::GET, target, hosts).unwrap();
            assert_eq!(url.path_and_query().unwrap(), "/x?y=z", "{target}");
            assert_eq!(url.host(), Some("a.example"));
            assert_eq!(url.scheme_str(), Some("https"));
        }
        for (target, hosts, status) in [
            ("/", &["b.example"][..], 421),
            ("/", &["a.example:8443"], 421),
            ("http://a.example/", &["a.example"], 421),
            ("https://b.example/", &["a.example"], 421),
            ("https://a.example:8443/", &[], 421),
            ("https://me@a.example/", &["a.example"], 400),
            ("/", &["a.example", "a.example"], 400),
            ("*", &["a.example"], 400),
        ] {
            let refused = asked(Method::GET, target, hosts).unwrap_err();
            assert_eq!(refused.status, status, "{target} {hosts:?}");
        }
        let refused = asked(Method::TRACE, "/", &[]).unwrap_err();
        assert_eq!(refused.status, 405);
        let refused = asked(Method::CONNECT, "a.example:443", &[]).unwrap_err();
        assert_eq!(refused.status, 400);
    }
}
