//! What is refused before anything is read, and the way to the library (K13, K14).

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use data_encoding::HEXUPPER;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority};
use s3s::{
    S3Error, S3Result,
    config::{S3Config, StaticConfigProvider},
    s3_error,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::expecting::close_where_refused;

use super::{chunks::cut, keys::AccessKeys, shelf::Shelf, signed};

/// Requests in work at a time; each may hold 12 MiB. More wait.
const MAX_REQUESTS: usize = 64;

/// Longest body that is read into memory: 1,000 keys to remove, or 10,000 parts to put together.
const MAX_XML: usize = 8 << 20;

/// Seconds that a client's clock may be off.
const MAX_SKEW: u32 = 15 * 60;

/// A client that sends nothing of its body for so long sends no more.
const STALLED: Duration = Duration::from_secs(60);

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
#[error("{STALLED_TEXT}")]
struct Stalled;

/// What a client is told of it. The library passes on the text alone.
pub(super) const STALLED_TEXT: &str = "nothing of the body came for 60 s";

#[derive(Clone)]
struct Gate {
    service: S3Service,
    requests: Arc<Semaphore>,
}

/// The whole door.
pub(super) fn router(shelf: Shelf, keys: AccessKeys) -> Router {
    let mut builder = S3ServiceBuilder::new(shelf);
    builder.set_auth(keys);
    let mut config = S3Config::default();
    config.xml_max_body_size = MAX_XML;
    config.presigned_url_max_skew_time_secs = MAX_SKEW;
    // Forms are refused at the gate; were one to come through, nothing of it is kept.
    config.post_object_max_file_size = 0;
    config.form_max_field_size = 0;
    config.form_max_fields_size = 0;
    config.form_max_parts = 0;
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    let gate = Gate {
        service: builder.build(),
        requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
    };
    Router::new()
        .fallback(handle)
        .layer(axum::middleware::from_fn(close_where_refused))
        .with_state(gate)
}

async fn handle(State(gate): State<Gate>, request: Request) -> Response {
    let mut response = match refused(&request) {
        Err(error) => said(error),
        Ok(()) => gate.pass(request).await,
    };
    let id = HEXUPPER.encode(&rand::random::<[u8; 8]>());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-amz-request-id", id);
    }
    response
}

impl Gate {
    async fn pass(&self, request: Request) -> Response {
        let Ok(_turn) = self.requests.acquire().await else {
            return said(s3_error!(ServiceUnavailable, "the node is stopping"));
        };
        let request = request.map(timed);
        let request = match is_framed(request.headers()) {
            true => request.map(|body| {
                let pieces = cut(body.into_data_stream().boxed());
                Body::from_stream(pieces)
            }),
            false => request,
        };
        let request = request.map(s3s::Body::http_body_unsync);
        match self.service.call(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => {
                tracing::warn!(?error, "an S3 request had no answer");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Why a request does not come as far as the library, which reads forms into memory before it
/// knows who sends them.
fn refused(request: &Request) -> S3Result<()> {
    let headers = request.headers();
    if !is_by_path(request.uri(), headers) {
        return Err(s3_error!(
            NotImplemented,
            "a bucket in the host's name is not understood: have the client use paths, and the address of this node"
        ));
    }
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    if *request.method() == Method::POST && kind.starts_with("multipart/form-data") {
        return Err(s3_error!(NotImplemented, "uploads by a form are not taken"));
    }
    signed::check(request.uri(), headers)
}

/// Whether the host is one that names no bucket: an IP address or `localhost` (K16).
fn is_by_path(uri: &Uri, headers: &HeaderMap) -> bool {
    let said = match headers.get(header::HOST) {
        Some(host) => host.to_str().ok().and_then(|host| host.parse().ok()),
        // As HTTP/2 has it.
        None => uri.authority().cloned(),
    };
    said.is_some_and(|said: Authority| {
        let host = said.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
    })
}

/// A body whose sender may not stop for long, whoever reads it.
fn timed(body: Body) -> Body {
    // Left as it is, for the library wants to know that there is none.
    if body.is_end_stream() {
        return body;
    }
    let pieces = stream::unfold(Some(body.into_data_stream()), |body| async {
        let mut body = body?;
        match timeout(STALLED, body.next()).await {
            Ok(piece) => Some((piece?, Some(body))),
            Err(_) => Some((Err(axum::Error::new(Stalled)), None)),
        }
    });
    Body::from_stream(pieces)
}

/// Whether the body is in aws-chunked framing.
fn is_framed(headers: &HeaderMap) -> bool {
    let hash = headers.get("x-amz-content-sha256");
    hash.is_some_and(|hash| hash.as_bytes().starts_with(b"STREAMING-"))
}

fn said(error: S3Error) -> Response {
    match error.to_http_response() {
        Ok(response) => response.map(Body::new),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
