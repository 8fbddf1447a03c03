//! What the web cache has, and what it is to have or to forget.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Deserialize;
use utoipa::IntoParams;
use webcache::{Kept, Proxy};

use super::{
    App,
    failure::ApiError,
    types::{
        Failure, WebCacheAuthority, WebCacheIntercepted, WebCacheObject, WebCacheObjects,
        WebCachePurged, WebCacheShared, WebCacheStatus, WebCacheUrl, WebCacheWarmed,
    },
};

/// Objects in one answer, and bytes of their URLs.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// How full the web cache is, and what it has done since the node started.
#[utoipa::path(get, path = "/api/v1/webcache", responses(
    (status = 200, body = WebCacheStatus), (status = 404, body = Failure)))]
pub(crate) async fn status(State(app): State<App>) -> Result<Json<WebCacheStatus>, ApiError> {
    let proxy = proxy(&app)?;
    let address = proxy.address().map_err(ApiError::internal)?;
    let (store, stats) = (proxy.store(), proxy.stats());
    Ok(Json(WebCacheStatus {
        proxy: format!("http://{address}"),
        offline: proxy.is_offline(),
        room: store.room(),
        bytes: store.bytes(),
        objects: store.objects() as u64,
        requests: stats.requests,
        hits: stats.hits,
        validated: stats.validated,
        collapsed: stats.collapsed,
        misses: stats.misses,
        failed: stats.failed,
        stored: stats.stored,
        shared: WebCacheShared {
            peer_hits: stats.peer_hits,
            peer_misses: stats.peer_misses,
            peer_validated: stats.peer_validated,
            peers_silent: stats.peers_silent,
            peers_wrong: stats.peers_wrong,
            wrong_digests: stats.wrong_digests,
            served: stats.served,
            served_bytes: stats.served_bytes,
            asked: stats.asked,
            fetched_for_peers: stats.fetched_for_peers,
            not_public: stats.not_public,
            taken_over: stats.taken_over,
        },
        intercepted: WebCacheIntercepted {
            hosts: proxy
                .authority()
                .map(|authority| authority.hosts().texts())
                .unwrap_or_default(),
            connections: stats.intercepted,
            failed: stats.not_intercepted,
        },
    }))
}

/// The authority that clients have to trust for hosts whose `https` is read.
#[utoipa::path(get, path = "/api/v1/webcache/authority", responses(
    (status = 200, body = WebCacheAuthority), (status = 404, body = Failure)))]
pub(crate) async fn authority(State(app): State<App>) -> Result<Json<WebCacheAuthority>, ApiError> {
    let proxy = proxy(&app)?;
    let authority = proxy.authority().ok_or_else(|| {
        ApiError::not_found("no host is intercepted, so there is no authority to trust").with_hint(
            "list hosts in webcache.intercept (hedgerow node start --webcache-intercept \
             example.org) and start the node again",
        )
    })?;
    let until = authority.until().duration_since(SystemTime::UNIX_EPOCH);
    Ok(Json(WebCacheAuthority {
        certificate: authority.pem(),
        sha256: authority.fingerprint(),
        hosts: authority.hosts().texts(),
        until: until.unwrap_or_default().as_secs(),
    }))
}

/// Which objects are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// How their URLs begin; all without it.
    #[serde(default)]
    prefix: String,
    /// How many at most: 10,000 unless said otherwise, and no more.
    limit: Option<usize>,
}

/// What is kept, by URL.
#[utoipa::path(get, path = "/api/v1/webcache/objects", params(Listed), responses(
    (status = 200, body = WebCacheObjects), (status = 400, body = Failure), (status = 404, body = Failure)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(listed): Query<Listed>,
) -> Result<Json<WebCacheObjects>, ApiError> {
    let proxy = proxy(&app)?;
    let mut kept = proxy.store().list();
    kept.retain(|kept| kept.url.starts_with(&listed.prefix));
    kept.sort_unstable_by(|a, b| a.url.cmp(&b.url));
    let limit = listed.limit.unwrap_or(MOST).min(MOST);
    let mut bytes = 0;
    let fitting = kept.iter().take(limit).take_while(|kept| {
        bytes += kept.url.len();
        bytes <= MOST_BYTES
    });
    let fitting = fitting.count();
    let more = kept.len() > fitting;
    kept.truncate(fitting);
    let object = |kept: Kept| WebCacheObject {
        url: kept.url,
        status: kept.status,
        size: kept.size,
        fresh_seconds: kept.fresh_seconds,
    };
    Ok(Json(WebCacheObjects {
        objects: kept.into_iter().map(object).collect(),
        more,
    }))
}

/// What to forget.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Purged {
    /// The URL.
    url: Option<String>,
    /// Everything.
    #[serde(default)]
    all: bool,
}

/// Forgets all answers of a URL, or everything.
#[utoipa::path(delete, path = "/api/v1/webcache/objects", params(Purged), responses(
    (status = 200, body = WebCachePurged), (status = 400, body = Failure), (status = 404, body = Failure)))]
pub(crate) async fn purge(
    State(app): State<App>,
    Query(purged): Query<Purged>,
) -> Result<Json<WebCachePurged>, ApiError> {
    let proxy = proxy(&app)?;
    let removed = match (purged.url, purged.all) {
        (Some(url), false) => proxy.purge(&url).map_err(ApiError::bad_request)?,
        (None, true) => {
            let removed = proxy.store().objects();
            proxy.store().clear();
            removed
        }
        _ => return Err(ApiError::bad_request("name either a url or all=true")),
    };
    Ok(Json(WebCachePurged {
        removed: removed as u64,
    }))
}

/// Asks for a URL, so that it is there when somebody wants it.
#[utoipa::path(post, path = "/api/v1/webcache/warm", request_body = WebCacheUrl, responses(
    (status = 200, body = WebCacheWarmed), (status = 400, body = Failure), (status = 404, body = Failure)))]
pub(crate) async fn warm(
    State(app): State<App>,
    Json(WebCacheUrl { url }): Json<WebCacheUrl>,
) -> Result<Json<WebCacheWarmed>, ApiError> {
    let proxy = proxy(&app)?;
    let warmed = proxy.warm(&url).await.map_err(|error| {
        ApiError::bad_request(error).with_hint("the web cache keeps what http:// URLs answer")
    })?;
    Ok(Json(WebCacheWarmed {
        url,
        status: warmed.status.as_u16(),
        bytes: warmed.bytes,
        cache_status: warmed.cache_status,
        broken: warmed.broken,
    }))
}

fn proxy(app: &App) -> Result<Arc<Proxy>, ApiError> {
    app.web_cache.clone().ok_or_else(|| {
        ApiError::not_found("this node has no web cache")
            .with_hint("start it with one: hedgerow node start --webcache-port 3128")
    })
}
