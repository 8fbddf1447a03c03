//! Connected peers.

use axum::{
    Json,
    extract::{Path, State},
};
use libp2p::{Multiaddr, PeerId};

use super::{
    App, convert,
    failure::ApiError,
    types::{Connect, Connected, Failure, Peer, Pong},
};
use crate::network::{ConnectError, PingError};

/// The peers connected now.
#[utoipa::path(get, path = "/api/v1/peers", responses((status = 200, body = [Peer])))]
pub(crate) async fn list(State(app): State<App>) -> Json<Vec<Peer>> {
    let neighbours = convert::leaf_guids(&convert::leaf_set(&app.overlay));
    let peers = app.network.peers().await;
    let describe = |peer: crate::network::ConnectedPeer| {
        let guid = overlay::guid_of_peer(&peer.peer).to_string();
        Peer {
            peer_id: peer.peer.to_string(),
            leaf_set: neighbours.contains(&guid),
            guid,
            path: convert::path(peer.path).to_owned(),
            connections: peer.connections.iter().map(ToString::to_string).collect(),
            addresses: peer.addrs.iter().map(ToString::to_string).collect(),
            agent: peer.agent,
            protocols: peer.protocols,
            rtt_ms: peer.rtt.map(convert::millis),
        }
    };
    Json(peers.into_iter().map(describe).collect())
}

/// Connects to an address.
#[utoipa::path(post, path = "/api/v1/peers/connect", request_body = Connect, responses(
    (status = 200, body = Connected), (status = 400, body = Failure),
    (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn connect(
    State(app): State<App>,
    Json(body): Json<Connect>,
) -> Result<Json<Connected>, ApiError> {
    let address: Multiaddr = body.address.parse().map_err(|error| {
        ApiError::bad_request(format!("{:?} is not a multiaddress: {error}", body.address))
            .with_hint("an address looks like /ip4/192.168.1.20/tcp/4747")
    })?;
    let peer = app
        .network
        .connect(address)
        .await
        .map_err(|error| match error {
            ConnectError::Timeout => ApiError::timeout(error),
            ConnectError::Failed(_) | ConnectError::Stopped => ApiError::unavailable(error),
        })?;
    Ok(Json(Connected {
        peer_id: peer.to_string(),
        guid: overlay::guid_of_peer(&peer).to_string(),
    }))
}

/// Measures one round trip.
#[utoipa::path(post, path = "/api/v1/peers/{peer}/ping", params(("peer" = String, Path)), responses(
    (status = 200, body = Pong), (status = 400, body = Failure),
    (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn ping(
    State(app): State<App>,
    Path(peer): Path<String>,
) -> Result<Json<Pong>, ApiError> {
    let peer: PeerId = peer
        .parse()
        .map_err(|error| ApiError::bad_request(format!("{peer:?} is not a PeerId: {error}")))?;
    let rtt = app.network.ping(peer).await.map_err(|error| match error {
        PingError::Timeout => ApiError::timeout(error),
        PingError::Unreachable(_) | PingError::WrongAnswer => ApiError::unavailable(error),
    })?;
    Ok(Json(Pong {
        peer_id: peer.to_string(),
        rtt_ms: convert::millis(rtt),
    }))
}
