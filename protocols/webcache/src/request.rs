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
