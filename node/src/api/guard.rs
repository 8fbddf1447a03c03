//! Who may use the loopback door.
//!
//! Every page in a browser can send requests to 127.0.0.1. So the door wants the token
//! (**A2**), and a Host (**A3**) and Origin (**A4**) that name itself: a name that was
//! rebound to 127.0.0.1, or a foreign page, shows there. The unix socket needs none of
//! it: its permissions say who may open it (**A1**).

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;

use super::{failure::ApiError, gateway};

/// What the loopback door checks.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    token: std::sync::Arc<str>,
    port: u16,
}

impl Guard {
    pub(crate) fn new(token: &str, port: u16) -> Self {
        Self {
            token: token.into(),
            port,
        }
    }

    fn check(&self, headers: &HeaderMap, open: bool) -> Result<(), ApiError> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).unwrap_or_default();
        if !self.is_me(host) {
            return Err(
                ApiError::forbidden(format!("Host {host:?} is not this node's"))
                    .with_hint(format!("use http://127.0.0.1:{}", self.port)),
            );
        }
        if headers.contains_key(header::ORIGIN) {
            let origin = text(header::ORIGIN).unwrap_or_default();
            if !origin
                .strip_prefix("http://")
                .is_some_and(|host| self.is_me(host))
            {
                return Err(ApiError::forbidden(format!(
                    "Origin {origin:?} is not allowed"
                )));
            }
        }
        if open {
            return Ok(());
        }
        let given = text(header::AUTHORIZATION)
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        // In constant time: how long a comparison takes must not tell how far it got.
        if !bool::from(given.as_bytes().ct_eq(self.token.as_bytes())) {
            return Err(ApiError::unauthorized("the token is missing or wrong")
                .with_hint("send `Authorization: Bearer TOKEN` with the token in HOME/api.token"));
        }
        Ok(())
    }

    fn is_me(&self, host: &str) -> bool {
        let Some((name, port)) = host.rsplit_once(':') else {
            return false;
        };
        port == self.port.to_string() && matches!(name, "127.0.0.1" | "localhost" | "[::1]")
    }
}

/// Paths that tell nothing worth a token: whether the node runs, and the API's description.
const OPEN_PATHS: [&str; 3] = ["/healthz", "/readyz", "/api/v1/openapi.json"];

/// Whether a request reads content by its CID, which needs no token (**V2**).
fn reads_content(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && request.uri().path().starts_with("/ipfs/")
}

/// Whether a browser makes the request for a page of somebody else that is not left for the
/// answer (**V3**): such a page must neither learn what this node can get nor make it fetch.
fn is_embedded(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    is_for_another_site(headers)
        && (text("sec-fetch-mode") != Some("navigate")
            || text("sec-fetch-dest") != Some("document"))
}

/// Whether a browser makes the request for a page of somebody else.
pub(crate) fn is_for_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let content = reads_content(&request);
    let open = content || OPEN_PATHS.contains(&request.uri().path());
    if content && is_embedded(request.headers()) {
        let error = ApiError::forbidden("content is not given to pages of other origins");
        return gateway::secured(error.into_text());
    }
    match guard.check(request.headers(), open) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        Guard::new("secret", 4748).check(&headers, false).is_ok()
    }

    #[test]
    fn wants_the_token() {
        let host = ("host", "127.0.0.1:4748");
        assert!(check(&[host, ("authorization", "Bearer secret")]));
        assert!(!check(&[host]));
        assert!(!check(&[host, ("authorization", "Bearer secre")]));
        assert!(!check(&[host, ("authorization", "Bearer secret2")]));
        assert!(!check(&[host, ("authorization", "Basic secret")]));
    }

    #[test]
    fn a_page_of_somebody_else_may_link_here_and_no_more() {
        let embedded = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            is_embedded(&headers)
        };
        let foreign = ("sec-fetch-site", "cross-site");
        let navigates = ("sec-fetch-mode", "navigate");
        assert!(!embedded(&[]));
        assert!(!embedded(&[("sec-fetch-site", "none")]));
        assert!(!embedded(&[("sec-fetch-site", "same-origin")]));
        assert!(!embedded(&[
            foreign,
            navigates,
            ("sec-fetch-dest", "document")
        ]));
        assert!(embedded(&[
            foreign,
            navigates,
            ("sec-fetch-dest", "iframe")
        ]));
        assert!(embedded(&[foreign, ("sec-fetch-mode", "no-cors")]));
        assert!(embedded(&[("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn wants_its_own_host_and_origin() {
        let token = ("authorization", "Bearer secret");
        assert!(check(&[token, ("host", "localhost:4748")]));
        assert!(!check(&[token]));
        assert!(!check(&[token, ("host", "127.0.0.1:80")]));
        assert!(!check(&[token, ("host", "rebound.example:4748")]));
        let host = ("host", "127.0.0.1:4748");
        assert!(check(&[token, host, ("origin", "http://localhost:4748")]));
        assert!(!check(&[token, host, ("origin", "http://evil.example")]));
        assert!(!check(&[token, host, ("origin", "null")]));
    }
}
