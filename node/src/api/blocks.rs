//! Single blocks: what the CLI builds files from.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{StatusCode, header},
    response::IntoResponse,
};
use blocks::{Block, BlockError};
use cid::Cid;

use super::{
    App, MAX_BLOCK,
    failure::ApiError,
    outcome,
    types::{Failure, Stored},
};

pub(crate) fn parse_cid(text: &str) -> Result<Cid, ApiError> {
    text.parse()
        .map_err(|error| ApiError::bad_request(format!("{text:?} is not a CID: {error}")))
}

/// The bytes of a block, verified, from here, from its replicas or from another IPFS peer.
#[utoipa::path(get, path = "/api/v1/blocks/{cid}", params(("cid" = String, Path)), responses(
    (status = 200, description = "the bytes", content_type = "application/vnd.ipld.raw"),
    (status = 400, body = Failure), (status = 404, body = Failure),
    (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn get(
    State(app): State<App>,
    Path(cid): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let cid = parse_cid(&cid)?;
    let got = app.content.get(&cid).await;
    let bytes = got.map_err(|error| ApiError::from(error).about(format_args!("block {cid}")))?;
    Ok(([(header::CONTENT_TYPE, "application/vnd.ipld.raw")], bytes))
}

/// Stores a block on its replicas; the bytes must match the CID.
#[utoipa::path(put, path = "/api/v1/blocks/{cid}", params(("cid" = String, Path)),
    request_body(content_type = "application/octet-stream", content = Vec<u8>), responses(
    (status = 200, body = Stored), (status = 400, body = Failure), (status = 413, body = Failure),
    (status = 503, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn put(
    State(app): State<App>,
    Path(cid): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Stored>, ApiError> {
    let cid = parse_cid(&cid)?;
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => ApiError::bad_request("the body broke off"),
    })?;
    let block = replicas::hashing::run(move || Block::new(cid, body))
        .await
        .ok_or_else(|| ApiError::unavailable("the node is stopping"))?
        .map_err(|error| match error {
            BlockError::TooLarge(_) => too_large(),
            BlockError::Mismatch(_) | BlockError::Unsupported(_) => ApiError::bad_request(error),
        })?;
    Ok(Json(outcome::stored(app.blocks.put(block).await?)))
}

fn too_large() -> ApiError {
    ApiError::too_large(format!("a block has {MAX_BLOCK} bytes at most"))
}
