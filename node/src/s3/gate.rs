//! What is refused before anything is read, and the way to the library (K13, K14).

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use data_encoding::HEXUPPER;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use s3s::{
    S3Error, S3ErrorCode,
    config::{S3Config, StaticConfigProvider},
    s3_error,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::sync::Semaphore;

use super::{chunks::cut, keys::AccessKeys, shelf::Shelf};

/// Requests in work at a time; each may hold 12 MiB. More wait.
const MAX_REQUESTS: usize = 64;

/// Longest body that is read into memory: 1,000 keys to remove, or 10,000 parts to put together.
const MAX_XML: usize = 8 << 20;

/// Seconds that a client's clock may be off.
const MAX_SKEW: u32 = 15 * 60;

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
    Router::new().fallback(handle).with_state(Gate {
        service: builder.build(),
        requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
    })
}

async fn handle(State(gate): State<Gate>, request: Request) -> Response {
    let mut response = match refused(&request) {
        Some(error) => said(error),
        None => gate.pass(request).await,
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

/// Why a request does not come as far as the library. It reads forms into memory before it
/// knows who sends them, and knows a signature that says nothing of headers and bodies.
fn refused(request: &Request) -> Option<S3Error> {
    let headers = request.headers();
    let text = |name| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(value.trim())
    };
    let query = request.uri().query().unwrap_or_default();
    let asks = |name: &str| {
        query
            .split('&')
            .any(|pair| pair.split('=').next() == Some(name))
    };
    let kind = text(header::CONTENT_TYPE)
        .unwrap_or_default()
        .to_ascii_lowercase();
    if *request.method() == Method::POST && kind.starts_with("multipart/form-data") {
        return Some(s3_error!(NotImplemented, "uploads by a form are not taken"));
    }
    match text(header::AUTHORIZATION) {
        Some(signed) if signed.starts_with("AWS4-HMAC-SHA256") => None,
        None if asks("X-Amz-Signature") => None,
        Some(_) => Some(other_signature()),
        None if asks("Signature") => Some(other_signature()),
        None => Some(s3_error!(
            AccessDenied,
            "the request is not signed: make an access key with `hedgerow key s3 create`"
        )),
    }
}

fn other_signature() -> S3Error {
    S3Error::with_message(
        S3ErrorCode::InvalidRequest,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
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
