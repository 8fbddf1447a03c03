//! Files, whole and in parts (V5, V7).

use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::io::AsyncWriteExt;
use unixfs::export_range;

use super::{
    Target, fixed, is_known,
    range::{Part, part_of},
    unchanged,
};
use crate::api::{
    App,
    failure::ApiError,
    objects::{IN_FLIGHT, export_failed},
};

/// Bytes from which a type is guessed where there is no name.
const SNIFFED: u64 = 1024;

pub(super) async fn respond(
    app: &App,
    method: &Method,
    target: &Target,
    size: u64,
    name: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let etag = format!("\"{}\"", target.cid);
    if is_known(headers, &etag) {
        return Ok(unchanged(&etag));
    }
    let (status, first, end) = match part_of(headers, size, &etag) {
        Part::Whole => (StatusCode::OK, 0, size),
        Part::From(first, last) => (StatusCode::PARTIAL_CONTENT, first, last + 1),
        Part::Outside => {
            let all = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            let text = format!("the file has {size} bytes\n");
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, all, text).into_response());
        }
    };
    let kind = kind_of(app, target, size, name).await?;
    let mut answer = fixed(target, &etag, &kind);
    answer.insert(header::CONTENT_LENGTH, (end - first).into());
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let part = format!("bytes {first}-{}/{size}", end - 1);
        let part = HeaderValue::from_str(&part).map_err(ApiError::internal)?;
        answer.insert(header::CONTENT_RANGE, part);
    }
    if *method == Method::HEAD {
        return Ok((status, answer).into_response());
    }
    let (body, mut out, permit) = app.open_stream()?;
    let (cid, source) = (target.cid, app.node_blocks.clone());
    tokio::spawn(async move {
        let _permit = permit;
        match export_range(&cid, &source, &mut out, first..end, IN_FLIGHT).await {
            // A failure here shows as a body that is shorter than its Content-Length.
            Err(error) => tracing::debug!(%cid, %error, "an answer broke off"),
            Ok(_) => {
                let _ = out.shutdown().await;
            }
        }
    });
    Ok((status, answer, body).into_response())
}

/// The type by the name, else by the first bytes.
async fn kind_of(
    app: &App,
    target: &Target,
    size: u64,
    name: Option<&str>,
) -> Result<String, ApiError> {
    if let Some(kind) = name.and_then(|name| mime_guess::from_path(name).first()) {
        return Ok(with_charset(kind.as_ref()));
    }
    let mut head = Vec::new();
    let source = app.node_blocks.clone();
    export_range(&target.cid, &source, &mut head, 0..size.min(SNIFFED), 1)
        .await
        .map_err(export_failed)?;
    Ok(sniff(&head))
}

fn with_charset(kind: &str) -> String {
    match kind.starts_with("text/") {
        true => format!("{kind}; charset=utf-8"),
        false => kind.to_owned(),
    }
}

fn sniff(head: &[u8]) -> String {
    if let Some(kind) = infer::get(head) {
        return with_charset(kind.mime_type());
    }
    // The last character may be cut.
    let text = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    match text && !head.contains(&0) {
        true => "text/plain; charset=utf-8".to_owned(),
        false => "application/octet-stream".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_guessed_from_the_first_bytes() {
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n"), "image/png");
        assert_eq!(
            sniff("plain tex\u{fc}".as_bytes()),
            "text/plain; charset=utf-8"
        );
        assert_eq!(
            sniff(&"\u{fc}".as_bytes()[..1]),
            "text/plain; charset=utf-8"
        );
        assert_eq!(sniff(b""), "text/plain; charset=utf-8");
        assert_eq!(sniff(b"\0\x01\x02"), "application/octet-stream");
    }
}
