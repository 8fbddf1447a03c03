//! Objects found wherever they are (A10 to A12).

use std::convert::Infallible;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, Query, State, rejection::BytesRejection},
    http::header,
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use futures::{StreamExt, stream};
use overlay::RouteError;
use serde::Deserialize;

use super::{
    App, convert,
    failure::ApiError,
    types::{Failure, HolderAnswer, Located, ObjectHolder, ObjectMessage, PublishedObject, Sent},
};
use crate::{
    guid_of_text,
    mailbox::{ListenError, Listener, Message},
};

/// How many holders are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    /// From 1 to 16; 1 unless given.
    count: Option<usize>,
}

/// Publishes an object: it is found at this node until it is unpublished or the node stops.
#[utoipa::path(put, path = "/api/v1/dolr/{key}", params(("key" = String, Path)), responses(
    (status = 200, body = PublishedObject), (status = 503, body = Failure),
    (status = 504, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn publish(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<Json<PublishedObject>, ApiError> {
    let object = guid_of_text(&key);
    let published = app.mailbox.publish(object).await.map_err(failed)?;
    Ok(Json(PublishedObject {
        key: object.to_string(),
        roots: published.roots,
        pointers: published.pointers,
    }))
}

/// Unpublishes an object, and ends whoever listens for its messages here.
#[utoipa::path(delete, path = "/api/v1/dolr/{key}", params(("key" = String, Path)), responses(
    (status = 204), (status = 404, body = Failure)))]
pub(crate) async fn unpublish(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<axum::http::StatusCode, ApiError> {
    let object = guid_of_text(&key);
    app.mailbox.unpublish(object).await.map_err(failed)?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// The nearest nodes that publish an object, in the order in which they answered.
#[utoipa::path(get, path = "/api/v1/dolr/{key}", params(("key" = String, Path), Count), responses(
    (status = 200, body = Located), (status = 400, body = Failure), (status = 404, body = Failure),
    (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn locate(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(count): Query<Count>,
) -> Result<Json<Located>, ApiError> {
    let object = guid_of_text(&key);
    let count = count.count.unwrap_or(1);
    let found = app.overlay.locate(object, count).await.map_err(failed)?;
    let holders = found
        .into_iter()
        .map(|holder| ObjectHolder {
            contact: convert::contact(&holder.contact, None),
            hops: holder.hops,
        })
        .collect();
    Ok(Json(Located {
        key: object.to_string(),
        holders,
    }))
}

/// Sends the body to whoever listens at the nearest nodes that publish an object.
#[utoipa::path(post, path = "/api/v1/dolr/{key}/messages", params(("key" = String, Path), Count),
    request_body(content_type = "application/octet-stream", content = Vec<u8>), responses(
    (status = 200, body = Sent), (status = 400, body = Failure), (status = 404, body = Failure),
    (status = 413, body = Failure), (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn send(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(count): Query<Count>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Sent>, ApiError> {
    let body = body
        .ok()
        .filter(|body| body.len() <= overlay::MAX_PAYLOAD)
        .ok_or_else(|| {
            let most = overlay::MAX_PAYLOAD;
            ApiError::too_large(format!("a message has {most} bytes at most"))
                .with_hint("store it as an object, and send its CID")
        })?;
    let object = guid_of_text(&key);
    let count = count.count.unwrap_or(1);
    let answers = app
        .mailbox
        .send(object, count, body)
        .await
        .map_err(failed)?;
    let answers = answers
        .into_iter()
        .map(|(reply, outcome)| HolderAnswer {
            contact: convert::contact(&reply.from, None),
            hops: reply.hops,
            delivered: outcome.is_ok(),
            reason: outcome.err(),
        })
        .collect();
    Ok(Json(Sent {
        key: object.to_string(),
        answers,
    }))
}

/// The messages to an object as they come, a line of JSON each. The object is published
/// for as long as somebody reads them.
#[utoipa::path(get, path = "/api/v1/dolr/{key}/messages", params(("key" = String, Path)), responses(
    (status = 200, body = ObjectMessage, content_type = "application/x-ndjson"),
    (status = 503, body = Failure), (status = 504, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn listen(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<Response, ApiError> {
    let object = guid_of_text(&key);
    let listener = app
        .mailbox
        .listen(object)
        .await
        .map_err(|error| match error {
            ListenError::TooMany => ApiError::unavailable(error),
            ListenError::Publish(error) => failed(error),
        })?;
    let stop = app.stop.clone();
    let next = |mut listener: Listener| async move {
        let message = listener.next().await?;
        Some((Ok::<_, Infallible>(line(&message)), listener))
    };
    let lines = stream::unfold(listener, next).take_until(stop.cancelled_owned());
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn line(message: &Message) -> Bytes {
    let message = ObjectMessage {
        from: convert::contact(&message.from, None),
        hops: message.hops,
        message: BASE64.encode(&message.payload),
    };
    let mut line = serde_json::to_vec(&message).expect("a struct of texts and numbers");
    line.push(b'\n');
    line.into()
}

fn failed(error: RouteError) -> ApiError {
    match error {
        RouteError::NotFound => {
            ApiError::not_found(error).with_hint("all roots of the key were asked")
        }
        RouteError::NotPublished => {
            ApiError::not_found(error).with_hint("there is nothing to take back")
        }
        RouteError::Invalid(_) => ApiError::bad_request(error),
        RouteError::Full(_) => ApiError::no_room(error),
        RouteError::Timeout => {
            ApiError::timeout(error).with_hint("try again when the network has settled")
        }
        _ => ApiError::unavailable(error).with_hint("try again when the network has settled"),
    }
}
