//! What is archived by itself (H27 of `docs/specs/archive.md`).

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
};
use serde::Deserialize;

use super::{
    App,
    failure::ApiError,
    types::{ArchiveFailure, ArchivePolicyStatus, Failure},
};
use crate::archive_policy::PolicyError;

/// Which names.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prefix {
    /// What they begin with; nothing means all.
    prefix: String,
}

/// Which names are archived by themselves, and how far that is.
#[utoipa::path(get, path = "/api/v1/archive-policy", responses((status = 200, body = ArchivePolicyStatus)))]
pub(crate) async fn status(State(app): State<App>) -> Json<ArchivePolicyStatus> {
    let seen = app.archiving.seen();
    Json(ArchivePolicyStatus {
        prefixes: app.archiving.policy().list().into_iter().collect(),
        waiting: seen.waiting,
        archived: seen.archived,
        failures: seen
            .failures
            .into_iter()
            .map(|(name, reason)| ArchiveFailure { name, reason })
            .collect(),
    })
}

/// Archives names that begin so by itself from now on, those that are there among them.
#[utoipa::path(put, path = "/api/v1/archive-policy", params(Prefix), responses(
    (status = 204), (status = 400, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn add(
    State(app): State<App>,
    Query(names): Query<Prefix>,
) -> Result<StatusCode, ApiError> {
    match app.archiving.policy().add(&names.prefix).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error @ PolicyError::Malformed(..)) => Err(ApiError::bad_request(error)),
        Err(error @ PolicyError::TooMany) => {
            Err(ApiError::no_room(error).with_hint("remove one first"))
        }
        Err(PolicyError::Home(error)) => Err(ApiError::internal(error)),
    }
}

/// Does so no more; what is archived stays.
#[utoipa::path(delete, path = "/api/v1/archive-policy", params(Prefix), responses(
    (status = 204), (status = 404, body = Failure)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Query(names): Query<Prefix>,
) -> Result<StatusCode, ApiError> {
    let removed = app.archiving.policy().remove(&names.prefix).await;
    match removed.map_err(ApiError::internal)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => {
            let prefix = names.prefix;
            let error = format!("names that begin with {prefix:?} are not archived by themselves");
            Err(ApiError::not_found(error).with_hint("see `hedgerow archive policy ls`"))
        }
    }
}
