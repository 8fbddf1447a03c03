//! Files and directories, cut and put together in the node: for clients that do not
//! do it themselves.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use cid::Cid;
use futures::TryStreamExt;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio_util::io::StreamReader;
use unixfs::{Chunking, ExportError, ImportError, Kind, Options, RootOnce};

use super::{
    App,
    blocks::parse_cid,
    failure::ApiError,
    provided,
    types::{DirectoryEntry, Failure, Imported, Keeper, ObjectStat},
};

/// Blocks of one request in flight: enough to hide round trips, 16 MiB at most.
pub(super) const IN_FLIGHT: usize = 16;

/// Bytes between the export and the connection.
pub(super) const PIPE: usize = 1024 * 1024;

/// How long `stat` looks for copies: it answers people, who have what it is for already.
const COPIES_TIMEOUT: Duration = Duration::from_secs(2);

/// How a body is cut.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct HowToCut {
    /// `size-BYTES`, or `fastcdc` or `fastcdc-BYTES`, where the content says so; every 1 MiB
    /// unless given.
    chunker: Option<String>,
}

/// Stores the body as a file, streaming.
#[utoipa::path(post, path = "/api/v1/objects", params(HowToCut),
    request_body(content_type = "application/octet-stream", content = Vec<u8>), responses(
    (status = 200, body = Imported), (status = 400, body = Failure),
    (status = 503, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn put(
    State(app): State<App>,
    Query(how): Query<HowToCut>,
    body: Body,
) -> Result<Json<Imported>, ApiError> {
    let imported = import(&app, &how, body).await?;
    provided::keep(&app, &imported.cid).await?;
    app.provided
        .add(imported.cid)
        .await
        .map_err(ApiError::internal)?;
    Ok(Json(Imported {
        cid: imported.cid.to_string(),
        size: imported.size,
        blocks: imported.blocks,
    }))
}

/// Cuts a body into a file whose blocks are on their replicas when this returns.
pub(super) async fn import(
    app: &App,
    how: &HowToCut,
    body: Body,
) -> Result<unixfs::Imported, ApiError> {
    let chunking = match &how.chunker {
        Some(text) => text.parse().map_err(ApiError::bad_request)?,
        None => Chunking::default(),
    };
    let reader = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let options = Options {
        concurrency: IN_FLIGHT,
        chunking,
        ..Options::default()
    };
    unixfs::import_reader(std::pin::pin!(reader), &app.node_blocks, &options)
        .await
        .map_err(import_failed)
}

/// The content of a file, streaming. An answer that breaks off is not complete.
#[utoipa::path(get, path = "/api/v1/objects/{cid}", params(("cid" = String, Path)), responses(
    (status = 200, description = "the content", content_type = "application/octet-stream"),
    (status = 400, body = Failure), (status = 404, body = Failure),
    (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn get(
    State(app): State<App>,
    Path(cid): Path<String>,
) -> Result<Response, ApiError> {
    let cid = parse_cid(&cid)?;
    file(&app, cid, cid).await
}

/// The answer that streams a file, with a tag that names this content.
pub(super) async fn file(app: &App, cid: Cid, tag: Cid) -> Result<Response, ApiError> {
    let source = RootOnce::new(cid, app.node_blocks.clone());
    let stat = unixfs::stat(&cid, &source).await.map_err(export_failed)?;
    if stat.kind != Kind::File {
        return Err(
            ApiError::bad_request(format!("{cid} is a {}, not a file", stat.kind))
                .with_hint("list it with /ls and get the files in it"),
        );
    }
    let (body, mut out, permit) = app.stream()?;
    tokio::spawn(async move {
        let _permit = permit;
        match unixfs::export_to_writer(&cid, &source, &mut out, IN_FLIGHT).await {
            // A failure here shows as a body that is shorter than its Content-Length.
            Err(error) => tracing::debug!(%cid, %error, "export broke off"),
            Ok(_) => {
                let _ = out.shutdown().await;
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, stat.size.to_string()),
        (header::ETAG, format!("\"{tag}\"")),
    ];
    Ok((headers, body).into_response())
}

/// What an object is, from its root block alone.
#[utoipa::path(get, path = "/api/v1/objects/{cid}/stat", params(("cid" = String, Path)), responses(
    (status = 200, body = ObjectStat), (status = 400, body = Failure),
    (status = 404, body = Failure), (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn stat(
    State(app): State<App>,
    Path(cid): Path<String>,
) -> Result<Json<ObjectStat>, ApiError> {
    Ok(Json(describe(&app, parse_cid(&cid)?).await?))
}

/// What stands behind a CID.
pub(super) async fn describe(app: &App, cid: Cid) -> Result<ObjectStat, ApiError> {
    let stat = unixfs::stat(&cid, &app.node_blocks)
        .await
        .map_err(export_failed)?;
    let (copies, keepers) = tokio::join!(copies(app, &cid), app.blocks.keepers(&cid));
    Ok(ObjectStat {
        copies,
        // A node that does not know its neighbours yet knows all the rest of this.
        keepers: keepers
            .unwrap_or_default()
            .into_iter()
            .map(describe_keeper)
            .collect(),
        cid: cid.to_string(),
        kind: stat.kind.to_string(),
        size: stat.size,
        cumulative_size: stat.cumulative_size,
        links: stat.links,
        target: stat.target,
    })
}

pub(super) fn describe_keeper(keeper: replicas::Keeper) -> Keeper {
    Keeper {
        peer_id: keeper.peer.to_string(),
        reason: keeper.has.as_ref().err().map(ToString::to_string),
        has: keeper.has.ok(),
    }
}

/// Who publishes a copy of a block. That nobody is found in time is no failure: who has a
/// duty to keep it has it all the same.
async fn copies(app: &App, cid: &Cid) -> Vec<String> {
    let found = app.blocks.holders(cid, overlay::MAX_WANTED);
    match tokio::time::timeout(COPIES_TIMEOUT, found).await {
        Ok(Ok(found)) => found.iter().map(|holder| holder.peer.to_string()).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// What is in a directory.
#[utoipa::path(get, path = "/api/v1/objects/{cid}/ls", params(("cid" = String, Path)), responses(
    (status = 200, body = [DirectoryEntry]), (status = 400, body = Failure),
    (status = 404, body = Failure), (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn ls(
    State(app): State<App>,
    Path(cid): Path<String>,
) -> Result<Json<Vec<DirectoryEntry>>, ApiError> {
    let cid = parse_cid(&cid)?;
    let source = app.node_blocks.clone();
    let entries = unixfs::ls(&cid, &source, IN_FLIGHT)
        .await
        .map_err(export_failed)?;
    Ok(Json(entries.into_iter().map(entry).collect()))
}

pub(super) fn entry(entry: unixfs::Entry) -> DirectoryEntry {
    DirectoryEntry {
        name: entry.name,
        cid: entry.cid.to_string(),
        size: entry.size,
        kind: entry.kind.to_string(),
    }
}

pub(crate) fn import_failed(error: ImportError) -> ApiError {
    match error {
        ImportError::Sink { source, .. } => match source.downcast::<replicas::PutError>() {
            Ok(error) => (*error).into(),
            Err(error) => ApiError::internal(error),
        },
        ImportError::Read { .. } => ApiError::bad_request("the body broke off"),
        error => ApiError::bad_request(error),
    }
}

pub(crate) fn export_failed(error: ExportError) -> ApiError {
    match error {
        ExportError::Source { cid, source } => {
            let error = match source.downcast::<replicas::GetError>() {
                Ok(error) => (*error).into(),
                Err(error) => ApiError::internal(error),
            };
            error.about(format_args!("block {cid}"))
        }
        ExportError::WrongKind { .. } => ApiError::bad_request(error),
        ExportError::NotThere { .. } => ApiError::not_found(error),
        error => ApiError::internal(error),
    }
}
