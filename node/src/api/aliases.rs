//! Aliases of other people's keys (J18 of `docs/specs/objects.md`).

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

use super::{
    App,
    failure::ApiError,
    types::{Alias, Failure},
};
use crate::aliases::AliasError;

/// The aliases, in order.
#[utoipa::path(get, path = "/api/v1/aliases", responses((status = 200, body = [Alias])))]
pub(crate) async fn list(State(app): State<App>) -> Json<Vec<Alias>> {
    let aliases = app.aliases.list().await.into_iter();
    let describe = |(alias, peer): (String, libp2p::PeerId)| Alias {
        alias,
        peer_id: peer.to_string(),
    };
    Json(aliases.map(describe).collect())
}

/// Calls a key so from now on, in place of what was called so.
#[utoipa::path(put, path = "/api/v1/aliases/{alias}/{peer}",
    params(("alias" = String, Path), ("peer" = String, Path)), responses(
    (status = 204), (status = 400, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn add(
    State(app): State<App>,
    Path((alias, peer)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let peer = peer
        .parse()
        .map_err(|error| ApiError::bad_request(format!("{peer:?} is not a PeerId: {error}")))?;
    match app.aliases.add(&alias, peer).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error @ (AliasError::Malformed(_) | AliasError::NoKey(_))) => {
            Err(ApiError::bad_request(error))
        }
        Err(error @ AliasError::TooMany) => {
            Err(ApiError::no_room(error).with_hint("remove one first"))
        }
        Err(AliasError::Home(error)) => Err(ApiError::internal(error)),
    }
}

/// Forgets an alias.
#[utoipa::path(delete, path = "/api/v1/aliases/{alias}", params(("alias" = String, Path)), responses(
    (status = 204), (status = 404, body = Failure)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Path(alias): Path<String>,
) -> Result<StatusCode, ApiError> {
    let removed = app.aliases.remove(&alias).await;
    match removed.map_err(ApiError::internal)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(
            ApiError::not_found(format!("no key is called {alias} here"))
                .with_hint("see `hedgerow key alias ls`"),
        ),
    }
}
