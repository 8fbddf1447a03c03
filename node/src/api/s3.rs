//! Access keys of the S3 door (K15 of `docs/specs/s3.md`).

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

use super::{
    App,
    failure::ApiError,
    types::{Failure, S3Key, S3KeyMade, S3KeyRequest},
};
use crate::s3::{AccessKey, KeyError, REGION};

/// The access keys, without their secrets.
#[utoipa::path(get, path = "/api/v1/s3/keys", responses((status = 200, body = [S3Key])))]
pub(crate) async fn list(State(app): State<App>) -> Json<Vec<S3Key>> {
    let keys = app.s3_keys.list().await.into_iter();
    let describe = |(access_key, key): (String, AccessKey)| S3Key {
        access_key,
        label: key.label,
        created: key.created,
    };
    Json(keys.map(describe).collect())
}

/// Makes an access key; its secret is in this answer and in no later one.
#[utoipa::path(post, path = "/api/v1/s3/keys", request_body = S3KeyRequest, responses(
    (status = 200, body = S3KeyMade), (status = 400, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn create(
    State(app): State<App>,
    Json(request): Json<S3KeyRequest>,
) -> Result<Json<S3KeyMade>, ApiError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    match app.s3_keys.create(&request.label, now).await {
        Ok((access_key, key)) => Ok(Json(S3KeyMade {
            access_key,
            secret_key: key.secret,
            label: key.label,
            endpoint: format!("http://{}", app.s3),
            region: REGION.to_owned(),
        })),
        Err(error @ KeyError::Label) => Err(ApiError::bad_request(error)),
        Err(error @ KeyError::TooMany) => {
            Err(ApiError::no_room(error).with_hint("remove one first: hedgerow key s3 rm"))
        }
        Err(KeyError::Home(error)) => Err(ApiError::internal(error)),
    }
}

/// Forgets an access key: what it signs from now on is refused.
#[utoipa::path(delete, path = "/api/v1/s3/keys/{key}", params(("key" = String, Path)), responses(
    (status = 204), (status = 404, body = Failure)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<StatusCode, ApiError> {
    let removed = app.s3_keys.remove(&key).await;
    match removed.map_err(ApiError::internal)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found(format!("there is no access key {key}"))
            .with_hint("see `hedgerow key s3 ls`")),
    }
}
