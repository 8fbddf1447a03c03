//! Small signed values.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::BytesRejection},
};
use data_encoding::BASE64;
use serde::Deserialize;

use super::{
    App,
    failure::ApiError,
    outcome,
    types::{Failure, Found, Record, Stored},
};
use crate::guid_of_text;

/// Lifetime of a record whose publisher names none, in seconds: a day.
const DEFAULT_TTL: u64 = 24 * 3600;

/// How long a record lives.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lifetime {
    /// Seconds; a day unless given.
    ttl: Option<u64>,
}

/// What stands under a key: the newest record of each publisher, this node's first.
#[utoipa::path(get, path = "/api/v1/dht/{key}", params(("key" = String, Path)), responses(
    (status = 200, body = Found), (status = 404, body = Failure),
    (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn get(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<Json<Found>, ApiError> {
    let found = app.dht.get(guid_of_text(&key)).await.map_err(get_failed)?;
    Ok(Json(Found {
        records: found.records.iter().map(record).collect(),
        missed: found.missed,
    }))
}

/// Stores the body under a key, signed by this node, in place of what it had there.
#[utoipa::path(put, path = "/api/v1/dht/{key}", params(("key" = String, Path), Lifetime),
    request_body(content_type = "application/octet-stream", content = Vec<u8>), responses(
    (status = 200, body = Stored), (status = 400, body = Failure), (status = 413, body = Failure),
    (status = 503, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn put(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(lifetime): Query<Lifetime>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Stored>, ApiError> {
    let body = body
        .ok()
        .filter(|body| body.len() <= dht::MAX_VALUE)
        .ok_or_else(|| {
            ApiError::too_large(format!("a value has {} bytes at most", dht::MAX_VALUE))
                .with_hint("store it as an object, and its CID here")
        })?;
    let lifetime = Duration::from_secs(lifetime.ttl.unwrap_or(DEFAULT_TTL));
    let receipt = app
        .dht
        .put(guid_of_text(&key), body, lifetime)
        .await
        .map_err(put_failed)?;
    Ok(Json(outcome::stored(receipt.replicas)))
}

/// Takes this node's record under a key away, by a signed tombstone.
#[utoipa::path(delete, path = "/api/v1/dht/{key}", params(("key" = String, Path)), responses(
    (status = 200, body = Stored), (status = 404, body = Failure),
    (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<Json<Stored>, ApiError> {
    let receipt = app
        .dht
        .remove(guid_of_text(&key))
        .await
        .map_err(|error| match error {
            dht::RemoveError::Get(error) => get_failed(error),
            dht::RemoveError::Put(error) => put_failed(error),
        })?;
    Ok(Json(outcome::stored(receipt.replicas)))
}

fn get_failed(error: dht::GetError) -> ApiError {
    let message = error.to_string();
    match error {
        dht::GetError::NotFound { asked } => ApiError::not_found(message).with_asked(asked),
        dht::GetError::Over => ApiError::not_found(message),
        dht::GetError::Replicas(error) => error.into(),
    }
}

fn put_failed(error: dht::PutError) -> ApiError {
    match error {
        dht::PutError::Sign(_) | dht::PutError::Lifetime(_) => ApiError::bad_request(error),
        dht::PutError::Store(error) => error.into(),
        dht::PutError::Replicas(error) => error.into(),
        dht::PutError::Contended => ApiError::unavailable(error),
    }
}

fn record(record: &dht::Record) -> Record {
    Record {
        key: record.key().to_string(),
        value: record
            .value()
            .map(|value| BASE64.encode(value))
            .unwrap_or_default(),
        publisher: record.publisher_peer().to_string(),
        seq: record.seq(),
        expires: record.expires(),
    }
}
