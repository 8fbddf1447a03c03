//! The control API: HTTP and JSON over a unix socket and a loopback port.
//!
//! The rules it obeys (A1 and on) and the shapes are in `docs/specs/control-api.md`;
//! `GET /api/v1/openapi.json` describes it to programs.

mod aliases;
mod archive;
mod archive_policy;
mod blocks;
mod convert;
mod dht;
mod dolr;
mod failure;
mod gateway;
mod gossip;
mod guard;
mod job;
mod kad;
mod named;
mod node;
mod objects;
mod openapi;
mod outcome;
mod overlay;
mod peers;
mod provided;
mod prune;
mod s3;
mod serve;
mod state;
pub mod types;
mod updates;
mod upkeep;
mod watch;
mod web_cache;

pub(crate) use failure::ApiError;
pub(crate) use named::{read_failed, write_failed};
pub(crate) use objects::{export_failed, import_failed};
pub use openapi::document as openapi_document;
pub(crate) use serve::Doors;
pub(crate) use state::{App, Services};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, post, put},
};

/// Largest body of a request that is read into memory: a block of bitswap's largest
/// size, which no block of ours exceeds.
pub const MAX_BLOCK: usize = 2 * 1024 * 1024;

/// Every route, without the guard of the loopback door.
fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(node::healthz))
        .route("/readyz", get(node::readyz))
        .route("/api/v1/openapi.json", get(openapi::serve))
        .route("/api/v1/node", get(node::status))
        .route("/api/v1/node/id", get(node::id))
        .route("/api/v1/node/stop", post(node::stop))
        .route("/api/v1/config", get(node::config))
        .route("/api/v1/peers", get(peers::list))
        .route("/api/v1/peers/connect", post(peers::connect))
        .route("/api/v1/peers/{peer}/ping", post(peers::ping))
        .route(
            "/api/v1/gossip/{topic}",
            get(gossip::listen).post(gossip::publish),
        )
        .route("/api/v1/kad/peers/{peer}", get(kad::peer))
        .route(
            "/api/v1/kad/providers/{key}",
            get(kad::providers).put(kad::provide).delete(kad::unprovide),
        )
        .route("/api/v1/overlay/leafset", get(overlay::leaf_set))
        .route("/api/v1/overlay/table", get(overlay::table))
        .route("/api/v1/overlay/route/{key}", get(overlay::route))
        .route("/api/v1/overlay/trace/{key}", get(overlay::trace))
        .route(
            "/api/v1/dht/{key}",
            get(dht::get).put(dht::put).delete(dht::remove),
        )
        .route(
            "/api/v1/dolr/{key}",
            get(dolr::locate).put(dolr::publish).delete(dolr::unpublish),
        )
        .route(
            "/api/v1/dolr/{key}/messages",
            get(dolr::listen).post(dolr::send),
        )
        .route("/api/v1/blocks/{cid}", put(blocks::put).get(blocks::get))
        .route("/api/v1/provided", get(provided::list))
        .route(
            "/api/v1/provided/{cid}",
            put(provided::add).delete(provided::remove),
        )
        .route("/api/v1/aliases", get(aliases::list))
        .route("/api/v1/aliases/{alias}", delete(aliases::remove))
        .route("/api/v1/aliases/{alias}/{peer}", put(aliases::add))
        .route("/api/v1/s3/keys", get(s3::list).post(s3::create))
        .route("/api/v1/s3/keys/{key}", delete(s3::remove))
        .route("/api/v1/archive", get(archive::overview))
        .route(
            "/api/v1/archive/{reference}",
            get(archive::status).post(archive::add),
        )
        .route(
            "/api/v1/archive/{reference}/restore",
            post(archive::restore),
        )
        .route(
            "/api/v1/archive-policy",
            get(archive_policy::status)
                .put(archive_policy::add)
                .delete(archive_policy::remove),
        )
        .route("/api/v1/upkeep", get(upkeep::status))
        .route("/api/v1/pins", get(upkeep::pins))
        .route(
            "/api/v1/pins/{reference}",
            post(upkeep::pin).delete(upkeep::unpin),
        )
        .route("/api/v1/gc", post(upkeep::gc))
        .route("/api/v1/fsck", post(upkeep::fsck))
        .route("/api/v1/prune", post(prune::prune))
        .route("/api/v1/webcache", get(web_cache::status))
        .route("/api/v1/webcache/authority", get(web_cache::authority))
        .route("/api/v1/webcache/warm", post(web_cache::warm))
        .route(
            "/api/v1/webcache/objects",
            get(web_cache::list).delete(web_cache::purge),
        )
        .route("/api/v1/diff", get(named::diff))
        .route("/api/v1/named", get(named::list))
        .route("/api/v1/watch", get(watch::watch))
        .route("/api/v1/named/{reference}/version", get(named::version))
        .route("/api/v1/named/{reference}/versions", get(named::versions))
        .route("/api/v1/named/{reference}/stat", get(named::stat))
        .route("/api/v1/named/{reference}/ls", get(named::ls))
        .route("/api/v1/named/{reference}/updates", post(named::update))
        .layer(DefaultBodyLimit::max(MAX_BLOCK))
        // Streams: never whole in memory, so without a limit on their length.
        .route("/api/v1/objects", post(objects::put))
        .route("/api/v1/objects/{cid}", get(objects::get))
        .route("/api/v1/objects/{cid}/stat", get(objects::stat))
        .route("/api/v1/objects/{cid}/ls", get(objects::ls))
        .route(
            "/api/v1/named/{reference}",
            get(named::get).put(named::put).delete(named::remove),
        )
        .route("/ipfs/{*path}", get(gateway::get))
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            state::limit,
        ))
        .with_state(app)
}
