//! Topics of gossipsub that are shared with other implementations (A14).

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::{Path, State, rejection::BytesRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use futures::stream;

use super::{
    App,
    failure::ApiError,
    types::{Failure, TopicMessage},
};
use crate::network::{GossipError, GossipListener, GossipMessage};

/// Publishes the body to whoever listens to a topic.
#[utoipa::path(post, path = "/api/v1/gossip/{topic}", params(("topic" = String, Path)),
    request_body(content_type = "application/octet-stream", content = Vec<u8>), responses(
    (status = 204), (status = 400, body = Failure), (status = 413, body = Failure),
    (status = 503, body = Failure)))]
pub(crate) async fn publish(
    State(app): State<App>,
    Path(topic): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    let body = body.map_err(|_| failed(GossipError::TooLarge))?;
    app.network
        .gossip_publish(topic, body)
        .await
        .map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The messages of a topic as they come, a line of JSON each. The node is subscribed for as
/// long as somebody reads them.
#[utoipa::path(get, path = "/api/v1/gossip/{topic}", params(("topic" = String, Path)), responses(
    (status = 200, body = TopicMessage, content_type = "application/x-ndjson"),
    (status = 400, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn listen(
    State(app): State<App>,
    Path(topic): Path<String>,
) -> Result<Response, ApiError> {
    use futures::StreamExt;

    let listener = app.network.gossip_listen(topic).await.map_err(failed)?;
    let next = |mut listener: GossipListener| async move {
        let message = listener.next().await?;
        Some((Ok::<_, Infallible>(line(&message)), listener))
    };
    let lines = stream::unfold(listener, next).take_until(app.stop.clone().cancelled_owned());
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn line(message: &GossipMessage) -> Bytes {
    let message = TopicMessage {
        from: message.from.to_string(),
        message: BASE64.encode(&message.data),
    };
    let mut line = serde_json::to_vec(&message).expect("a struct of texts");
    line.push(b'\n');
    line.into()
}

fn failed(error: GossipError) -> ApiError {
    match error {
        GossipError::Topic | GossipError::Reserved => ApiError::bad_request(error),
        GossipError::TooLarge => {
            ApiError::too_large(error).with_hint("store it as an object, and send its CID")
        }
        GossipError::NobodyListens
        | GossipError::Duplicate
        | GossipError::Busy
        | GossipError::TooMany
        | GossipError::Stopped => ApiError::unavailable(error),
    }
}
