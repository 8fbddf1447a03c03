//! What is provided in Kademlia (A15).

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use cid::Cid;
use serde::Deserialize;

use super::{App, blocks::parse_cid, failure::ApiError, types::Failure, upkeep};

/// The provided objects, the one added last first.
#[utoipa::path(get, path = "/api/v1/provided", responses((status = 200, body = [String])))]
pub(crate) async fn list(State(app): State<App>) -> Json<Vec<String>> {
    let cids = app.provided.list();
    Json(cids.iter().map(ToString::to_string).collect())
}

/// What else is done with a provided object.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct HowToProvide {
    /// No name leads to it: who keeps its blocks is told that they are needed.
    #[serde(default)]
    keep: bool,
}

/// Provides an object from now on, also after the next start.
#[utoipa::path(put, path = "/api/v1/provided/{cid}", params(("cid" = String, Path), HowToProvide), responses(
    (status = 204), (status = 400, body = Failure), (status = 500, body = Failure)))]
pub(crate) async fn add(
    State(app): State<App>,
    Path(cid): Path<String>,
    Query(how): Query<HowToProvide>,
) -> Result<StatusCode, ApiError> {
    let cid = parse_cid(&cid)?;
    if how.keep {
        keep(&app, &cid).await?;
    }
    let added = app.provided.add(cid).await;
    added.map_err(ApiError::internal)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has the blocks of what has no name kept. It has to be there: what this node needs and cannot
/// read keeps it from ever releasing anything.
pub(super) async fn keep(app: &App, cid: &Cid) -> Result<(), ApiError> {
    let root = bitswap::as_kept(cid);
    app.content.get(&root).await?;
    let kept = app.upkeep.keep(root).await;
    kept.map_err(|error| upkeep::pin_failed(&error))
}

/// Provides it no more, and keeps it no longer for its own sake. Its blocks stay as long as
/// somebody needs them, and are given to peers that ask for them.
#[utoipa::path(delete, path = "/api/v1/provided/{cid}", params(("cid" = String, Path)), responses(
    (status = 204), (status = 400, body = Failure), (status = 404, body = Failure),
    (status = 500, body = Failure)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Path(cid): Path<String>,
) -> Result<StatusCode, ApiError> {
    let cid = parse_cid(&cid)?;
    let kept = app.upkeep.unkeep(bitswap::as_kept(&cid)).await?;
    let removed = app.provided.remove(&cid).await;
    match removed.map_err(ApiError::internal)? | kept {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found(format!("{cid} is not provided"))),
    }
}
