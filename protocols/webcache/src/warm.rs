//! What is asked for so that it is there when somebody wants it.

use http::{HeaderMap, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::Response;
use thiserror::Error;

use crate::{
    body::{Body, BoxError},
    headers::CACHE_STATUS,
};

/// A URL that the proxy does not take.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{url}: {why}")]
pub struct BadUrl {
    pub(crate) url: String,
    pub(crate) why: String,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warmed {
    /// Status of the answer.
    pub status: StatusCode,
    /// Bytes of its body.
    pub bytes: u64,
    /// What the cache did (RFC 9211); empty where it failed itself.
    pub cache_status: String,
    /// Why the body broke off, if it did: nothing of it was kept then.
    pub broken: Option<String>,
}

/// A URL as people type it.
pub(crate) fn parse(url: &str) -> Result<Uri, BadUrl> {
    url.parse().map_err(|error: http::uri::InvalidUri| BadUrl {
        url: url.to_owned(),
        why: error.to_string(),
    })
}

/// Reads an answer to its end.
pub(crate) async fn read(response: Response<Body>) -> Warmed {
    let (head, mut body) = response.into_parts();
    let mut warmed = Warmed {
        status: head.status,
        bytes: 0,
        cache_status: cache_status(&head.headers),
        broken: None,
    };
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len());
                warmed.bytes += bytes as u64;
            }
            Err(error) => {
                let error: BoxError = error;
                warmed.broken = Some(error.to_string());
                break;
            }
        }
    }
    warmed
}

fn cache_status(fields: &HeaderMap) -> String {
    let values = fields.get_all(CACHE_STATUS).iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    values.join(", ")
}
