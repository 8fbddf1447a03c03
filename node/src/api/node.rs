//! The node itself: who, how, settings, stop.

use axum::{Json, extract::State, http::StatusCode};

use super::{
    App, convert,
    types::{NodeId, NodeStatus, Relaying, SettingInForce},
};
use crate::network::with_peer;

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "it does")))]
pub(crate) async fn healthz() -> StatusCode {
    StatusCode::OK
}

/// Whether the node has joined its network.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "it has"), (status = 503, description = "not yet")))]
pub(crate) async fn readyz(State(app): State<App>) -> StatusCode {
    if convert::is_active(&app.overlay) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// Who the node is.
#[utoipa::path(get, path = "/api/v1/node/id", responses((status = 200, body = NodeId)))]
pub(crate) async fn id(State(app): State<App>) -> Json<NodeId> {
    let me = app.overlay.me();
    let addresses = app.network.listen_addresses();
    Json(NodeId {
        peer_id: me.peer.to_string(),
        guid: me.guid.to_string(),
        addresses: addresses
            .iter()
            .map(|addr| with_peer(addr, me.peer).to_string())
            .collect(),
        agent: crate::AGENT.to_owned(),
    })
}

/// How the node is.
#[utoipa::path(get, path = "/api/v1/node", responses((status = 200, body = NodeStatus)))]
pub(crate) async fn status(State(app): State<App>) -> Json<NodeStatus> {
    let me = app.overlay.me();
    let usage = app.blocks.usage();
    let cached = app.blocks.cached().unwrap_or_default();
    let leaf_set = convert::leaf_set(&app.overlay);
    let reach = app.network.reach().await;
    Json(NodeStatus {
        peer_id: me.peer.to_string(),
        guid: me.guid.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        home: app.home.display().to_string(),
        overlay: leaf_set.state.clone(),
        uptime_seconds: app.started.elapsed().as_secs(),
        addresses: app
            .network
            .listen_addresses()
            .iter()
            .map(ToString::to_string)
            .collect(),
        api: format!("http://{}", app.api),
        s3: format!("http://{}", app.s3),
        reachability: convert::reachability(reach.reachability).to_owned(),
        relays: reach
            .reservations
            .into_iter()
            .map(convert::relay_status)
            .collect(),
        relaying: Relaying {
            offered: reach.relaying.offered,
            reservations: reach.relaying.reservations,
            circuits: reach.relaying.circuits,
        },
        peers: app.network.peers().await.len(),
        leaf_set: convert::leaf_guids(&leaf_set).len(),
        blocks: usage.blocks,
        block_bytes: usage.bytes,
        cached: cached.blocks,
        cached_bytes: cached.bytes,
        published: app.blocks.published(),
        resident_bytes: resident_bytes(),
    })
}

/// The settings in force and where they came from.
#[utoipa::path(get, path = "/api/v1/config", responses((status = 200, body = [SettingInForce])))]
pub(crate) async fn config(State(app): State<App>) -> Json<Vec<SettingInForce>> {
    Json(app.effective.in_force())
}

/// Stops the node; the answer comes before it has stopped.
#[utoipa::path(post, path = "/api/v1/node/stop", responses((status = 202, description = "stopping")))]
pub(crate) async fn stop(State(app): State<App>) -> StatusCode {
    app.stop.cancel();
    StatusCode::ACCEPTED
}

/// The second number of `/proc/self/statm` counts resident pages.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * u64::try_from(page).ok()?)
}
