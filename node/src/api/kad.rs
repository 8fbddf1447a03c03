//! The Kademlia table that is shared with other implementations (A13).

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use cid::{Cid, multihash::Multihash};
use libp2p::{PeerId, kad::RecordKey};

use super::{
    App,
    failure::ApiError,
    types::{Failure, KadPeer, KadProvided, KadProviders},
};
use crate::network::{KadError, provider_key};

/// Codec of a CID whose bytes are nothing but bytes.
const RAW: u64 = 0x55;

/// Where a peer is.
#[utoipa::path(get, path = "/api/v1/kad/peers/{peer}", params(("peer" = String, Path)), responses(
    (status = 200, body = KadPeer), (status = 400, body = Failure), (status = 404, body = Failure),
    (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn peer(
    State(app): State<App>,
    Path(peer): Path<String>,
) -> Result<Json<KadPeer>, ApiError> {
    let peer: PeerId = peer
        .parse()
        .map_err(|error| ApiError::bad_request(format!("{peer:?} is not a PeerId: {error}")))?;
    let addresses = app.network.kad_peer(peer).await.map_err(failed)?;
    Ok(Json(KadPeer {
        peer_id: peer.to_string(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
    }))
}

/// Who provides a key.
#[utoipa::path(get, path = "/api/v1/kad/providers/{key}", params(("key" = String, Path)), responses(
    (status = 200, body = KadProviders), (status = 404, body = Failure),
    (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn providers(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<Json<KadProviders>, ApiError> {
    let key = provider_key(&key);
    let providers = app
        .network
        .kad_providers(key.clone())
        .await
        .map_err(failed)?;
    Ok(Json(KadProviders {
        key: text_of(&key)?,
        providers: providers.iter().map(ToString::to_string).collect(),
    }))
}

/// Says that this node provides a key, until it is deleted or the node stops.
#[utoipa::path(put, path = "/api/v1/kad/providers/{key}", params(("key" = String, Path)), responses(
    (status = 200, body = KadProvided), (status = 503, body = Failure),
    (status = 504, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn provide(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<Json<KadProvided>, ApiError> {
    let key = provider_key(&key);
    app.network.kad_provide(key.clone()).await.map_err(failed)?;
    Ok(Json(KadProvided {
        key: text_of(&key)?,
    }))
}

/// Says it no more; what others have heard expires.
#[utoipa::path(delete, path = "/api/v1/kad/providers/{key}", params(("key" = String, Path)),
    responses((status = 204), (status = 503, body = Failure)))]
pub(crate) async fn unprovide(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<StatusCode, ApiError> {
    let key = provider_key(&key);
    app.network.kad_unprovide(key).await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

fn text_of(key: &RecordKey) -> Result<String, ApiError> {
    let multihash = Multihash::from_bytes(&key.to_vec()).map_err(ApiError::internal)?;
    Ok(Cid::new_v1(RAW, multihash).to_string())
}

fn failed(error: KadError) -> ApiError {
    match error {
        KadError::NotFound => ApiError::not_found(error),
        KadError::Timeout => ApiError::timeout(error),
        KadError::Full => ApiError::no_room(error),
        KadError::Off => {
            ApiError::unavailable(error).with_hint("start the node with --kademlia true")
        }
        KadError::Alone => {
            ApiError::unavailable(error).with_hint("see `hedgerow peers connect ADDRESS`")
        }
        KadError::TooMany | KadError::Stopped => ApiError::unavailable(error),
    }
}
