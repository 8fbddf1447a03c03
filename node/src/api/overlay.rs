//! The ring as this node sees it.

use axum::{
    Json,
    extract::{Path, State},
};

use super::{
    App, convert,
    failure::ApiError,
    types::{Failure, Hop, LeafSet, Route, Table, Trace},
};
use crate::guid_of_text;

/// Nodes that a route names: as many as keep a copy.
const CLOSEST: usize = 3;

/// The neighbours on the ring.
#[utoipa::path(get, path = "/api/v1/overlay/leafset", responses((status = 200, body = LeafSet)))]
pub(crate) async fn leaf_set(State(app): State<App>) -> Json<LeafSet> {
    Json(convert::leaf_set(&app.overlay))
}

/// The routing table and the nearest nodes.
#[utoipa::path(get, path = "/api/v1/overlay/table", responses((status = 200, body = Table)))]
pub(crate) async fn table(State(app): State<App>) -> Json<Table> {
    Json(convert::table(&app.overlay))
}

/// The nodes numerically closest to a key.
#[utoipa::path(get, path = "/api/v1/overlay/route/{key}", params(("key" = String, Path)), responses(
    (status = 200, body = Route), (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn route(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<Json<Route>, ApiError> {
    let key = guid_of_text(&key);
    let closest = app
        .overlay
        .replica_set(key, CLOSEST)
        .await
        .map_err(failed)?;
    let closest = closest
        .iter()
        .map(|contact| convert::contact(contact, None))
        .collect();
    Ok(Json(Route {
        key: key.to_string(),
        closest,
    }))
}

/// Each hop on the way to a key.
#[utoipa::path(get, path = "/api/v1/overlay/trace/{key}", params(("key" = String, Path)), responses(
    (status = 200, body = Trace), (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn trace(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<Json<Trace>, ApiError> {
    let key = guid_of_text(&key);
    let hops = app.overlay.trace(key).await.map_err(failed)?;
    let describe = |hop: overlay::Hop| Hop {
        contact: convert::contact(&hop.contact, None),
        shared_prefix: hop.shared_prefix,
        rtt_ms: hop.rtt.map(convert::millis),
    };
    Ok(Json(Trace {
        key: key.to_string(),
        hops: hops.into_iter().map(describe).collect(),
    }))
}

fn failed(error: overlay::RouteError) -> ApiError {
    let error = match error {
        overlay::RouteError::Timeout => ApiError::timeout(error),
        _ => ApiError::unavailable(error),
    };
    error.with_hint("try again when the network has settled")
}
