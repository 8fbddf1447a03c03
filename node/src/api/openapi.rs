//! The API's description for programs.

use axum::Json;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use super::{
    aliases, archive, archive_policy, blocks, dht, dolr, gateway, gossip, kad, named, node,
    objects, overlay, peers, provided, prune, s3, types, upkeep, watch, web_cache,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hedgerow control API",
        description = "What a node does for the person who runs it: over HOME/api.sock, \
                       and on 127.0.0.1 with the token in HOME/api.token."
    ),
    paths(
        node::healthz, node::readyz, node::status, node::id, node::stop, node::config,
        peers::list, peers::connect, peers::ping,
        gossip::publish, gossip::listen,
        kad::peer, kad::providers, kad::provide, kad::unprovide,
        overlay::leaf_set, overlay::table, overlay::route, overlay::trace,
        dht::get, dht::put, dht::remove,
        dolr::publish, dolr::unpublish, dolr::locate, dolr::send, dolr::listen,
        blocks::get, blocks::put,
        objects::put, objects::get, objects::stat, objects::ls,
        named::list, named::get, named::put, named::remove, named::version, named::versions,
        named::stat, named::ls, named::update, named::diff,
        watch::watch,
        aliases::list, aliases::add, aliases::remove,
        archive::overview, archive::status, archive::add, archive::restore,
        archive_policy::status, archive_policy::add, archive_policy::remove,
        provided::list, provided::add, provided::remove,
        s3::list, s3::create, s3::remove,
        upkeep::status, upkeep::pins, upkeep::pin, upkeep::unpin, upkeep::gc, upkeep::fsck,
        prune::prune,
        web_cache::status, web_cache::authority, web_cache::list, web_cache::purge,
        web_cache::warm,
        gateway::get,
    ),
    components(schemas(types::Failure)),
    modifiers(&Token),
    security(("token" = [])),
)]
struct Description;

struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(
            "token",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
    }
}

/// The description as OpenAPI.
pub fn document() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

pub(crate) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}
