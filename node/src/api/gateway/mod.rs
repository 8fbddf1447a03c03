//! Content by CID for browsers and other programs (V1 to V12 of `docs/specs/gateway.md`).

mod car;
mod file;
mod format;
mod listing;
mod range;

use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use cid::Cid;
use serde::Deserialize;
use unixfs::{Kind, RootOnce};

use self::format::Format;
use super::{
    App,
    failure::ApiError,
    guard,
    objects::{IN_FLIGHT, export_failed},
};

/// Content under a CID never changes (V6).
const FOR_EVER: &str = "public, max-age=29030400, immutable";

/// Pages of content share the origin of the API, so they run no scripts and load nothing from
/// elsewhere (V4).
const POLICY: &str = "sandbox allow-same-origin; default-src 'self' 'unsafe-inline' data: blob:; \
                      script-src 'none'; object-src 'none'";

/// Names looked up on the way to what is asked for: each is a block or several.
const MAX_PATH: usize = 64;

/// What is asked for beside the path.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
pub(crate) struct Options {
    /// `raw`: the block itself; `car`: all blocks below it.
    format: Option<String>,
    /// The name that the content is given, for its type.
    filename: Option<String>,
}

/// What a request leads to.
struct Target {
    cid: Cid,
    /// As it was asked for, percent-encoded, for `X-Ipfs-Path`.
    path: String,
    /// The last name of the path.
    name: Option<String>,
}

/// What a CID, or a path below it, names: a file, a directory as its `index.html` or a list, a
/// block, or a CAR.
#[utoipa::path(get, path = "/ipfs/{path}", params(("path" = String, Path), Options), responses(
    (status = 200, description = "the content"),
    (status = 206, description = "the part asked for by `Range`"),
    (status = 301, description = "a directory without a slash at its end"),
    (status = 304, description = "what the client has is this"),
    (status = 400, description = "no CID, or no format of ours", content_type = "text/plain"),
    (status = 404, description = "not there", content_type = "text/plain"),
    (status = 416, description = "no such part", content_type = "text/plain"),
    (status = 504, description = "nobody answered in time", content_type = "text/plain")))]
pub(crate) async fn get(
    State(app): State<App>,
    method: Method,
    uri: Uri,
    Path(path): Path<String>,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Response {
    let answer = match guard::is_for_another_site(&headers) {
        true => Ok(Html(listing::doorstep(&uri)).into_response()),
        false => answer(&app, &method, &uri, &path, &options, &headers).await,
    };
    secured(answer.unwrap_or_else(ApiError::into_text))
}

/// With the headers that every answer has (V4, V11).
pub(crate) fn secured(mut response: Response) -> Response {
    let status = response.status();
    let headers = response.headers_mut();
    // What fails now may be there later; and what says nothing of the content is not it.
    let fails = status.is_client_error() || status.is_server_error();
    if fails || (status == StatusCode::OK && !headers.contains_key(header::CACHE_CONTROL)) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn answer(
    app: &App,
    method: &Method,
    uri: &Uri,
    path: &str,
    options: &Options,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let format = Format::of(options.format.as_deref(), headers)?;
    let mut names = path.split('/');
    let root = super::blocks::parse_cid(names.next().unwrap_or_default())?;
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    if names.len() > MAX_PATH {
        let error = format!("a path has {MAX_PATH} names at most");
        return Err(ApiError::bad_request(error));
    }
    let source = app.node_blocks.clone();
    let resolved = unixfs::resolve(&root, &names, &source).await;
    let target = Target {
        cid: resolved.map_err(export_failed)?,
        path: uri.path().to_owned(),
        name: names.last().map(|name| (*name).to_owned()),
    };
    match format {
        Format::Raw => raw(app, &target, headers).await,
        Format::Car => car::respond(app, method, &target, headers).await,
        Format::Content => content(app, method, uri, target, options, headers).await,
    }
}

/// The block itself (V9).
async fn raw(app: &App, target: &Target, headers: &HeaderMap) -> Result<Response, ApiError> {
    let cid = target.cid;
    let etag = format!("\"{cid}.raw\"");
    if names_tag(headers, &etag) {
        return Ok(unchanged(&etag));
    }
    let got = app.content.get(&cid).await;
    let bytes = got.map_err(|error| ApiError::from(error).about(format_args!("block {cid}")))?;
    if is_known(headers, &etag) {
        return Ok(unchanged(&etag));
    }
    let fixed = fixed(target, &etag, "application/vnd.ipld.raw");
    let name = format!("attachment; filename=\"{cid}.bin\"");
    Ok((fixed, [(header::CONTENT_DISPOSITION, name)], bytes).into_response())
}

async fn content(
    app: &App,
    method: &Method,
    uri: &Uri,
    mut target: Target,
    options: &Options,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let source = RootOnce::new(target.cid, app.node_blocks.clone());
    let stat = unixfs::stat(&target.cid, &source).await;
    let mut stat = stat.map_err(export_failed)?;
    if stat.kind == Kind::Directory {
        // V8: names in a page are relative to the directory it lies in.
        if !uri.path().ends_with('/') {
            let query = uri.query().map(|query| format!("?{query}"));
            let place = format!("{}/{}", uri.path(), query.unwrap_or_default());
            return Ok((StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, place)]).into_response());
        }
        match unixfs::resolve(&target.cid, &["index.html"], &source).await {
            Ok(index) => {
                target.cid = index;
                target.name = Some("index.html".to_owned());
                let source = app.node_blocks.clone();
                stat = unixfs::stat(&index, &source).await.map_err(export_failed)?;
            }
            Err(unixfs::ExportError::NotThere { .. }) => {
                let etag = format!("\"DirIndex-1-{}\"", target.cid);
                if is_known(headers, &etag) {
                    return Ok(unchanged(&etag));
                }
                let entries = unixfs::children(&target.cid, &source, IN_FLIGHT).await;
                let page = listing::page(&target.path, &entries.map_err(export_failed)?);
                return Ok(
                    (fixed(&target, &etag, "text/html; charset=utf-8"), page).into_response()
                );
            }
            Err(error) => return Err(export_failed(error)),
        }
    }
    match stat.kind {
        Kind::File => {
            let name = options.filename.as_deref().or(target.name.as_deref());
            file::respond(app, method, &target, stat.size, name, headers).await
        }
        Kind::Symlink => {
            let text = stat.target.unwrap_or_default();
            let etag = format!("\"{}\"", target.cid);
            Ok((fixed(&target, &etag, "inode/symlink"), text).into_response())
        }
        Kind::Directory => Err(ApiError::bad_request("index.html is a directory")),
    }
}

/// The headers of every good answer (V6).
fn fixed(target: &Target, etag: &str, kind: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let pairs = [
        (header::CONTENT_TYPE, kind),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, FOR_EVER),
        // One URL gives the content, the block or a CAR (V5).
        (header::VARY, "Accept"),
        (HeaderName::from_static("x-ipfs-path"), &target.path),
    ];
    for (name, value) in pairs {
        // What is no header's value was no path either.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    headers
}

/// Whether the client says that it has this, which was found (V7).
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    given_tags(headers).any(|tag| tag == "*" || tag == etag)
}

/// Whether the client names this tag: then it has the content, found or not.
fn names_tag(headers: &HeaderMap, etag: &str) -> bool {
    given_tags(headers).any(|tag| tag == etag)
}

fn given_tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter();
    let lists = lists.filter_map(|value| value.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
}

fn unchanged(etag: &str) -> Response {
    let headers = [
        (header::ETAG, etag.to_owned()),
        (header::CACHE_CONTROL, FOR_EVER.to_owned()),
    ];
    (StatusCode::NOT_MODIFIED, headers).into_response()
}
