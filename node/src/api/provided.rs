//! What is provided in Kademlia (A15).

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;

use super::{App, blocks::parse_cid, failure::ApiError, types::Failure};

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
        app.upkeep.keep(bitswap::as_kept(&cid)).await?;
    }
    let added = app.provided.add(cid).await;
    added.map_err(ApiError::internal)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Provides it no more. Its blocks stay, and are given to peers that ask for them.
#[utoipa::path(delete, path = "/api/v1/provided/{cid}", params(("cid" = String, Path)), responses(
    (status = 204), (status = 400, body = Failure), (status = 404, body = Failure),
    (status = 500, body = Failure)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Path(cid): Path<String>,
) -> Result<StatusCode, ApiError> {
    let removed = app.provided.remove(&parse_cid(&cid)?).await;
    match removed.map_err(ApiError::internal)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found(format!("{cid} is not provided"))),
    }
}
