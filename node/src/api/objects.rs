//! Files and directories, cut and put together in the node: for clients that do not
//! do it themselves.

use std::time::Duration;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use cid::Cid;
use futures::TryStreamExt;
use tokio::io::AsyncWriteExt;
use tokio_util::io::StreamReader;
use unixfs::{BlockSink, BlockSource, BoxError, ExportError, ImportError, Kind, Options, RootOnce};

use super::{
    App,
    blocks::parse_cid,
    failure::ApiError,
    types::{DirectoryEntry, Failure, Imported, Keeper, ObjectStat},
};

/// Blocks of one request in flight: enough to hide round trips, 16 MiB at most.
pub(super) const IN_FLIGHT: usize = 16;

/// Bytes between the export and the connection.
pub(super) const PIPE: usize = 1024 * 1024;

/// How long `stat` looks for copies: it answers people, who have what it is for already.
const COPIES_TIMEOUT: Duration = Duration::from_secs(2);

/// Blocks of this node and its network.
pub(super) struct NodeBlocks(App);

impl NodeBlocks {
    pub(super) fn new(app: App) -> Self {
        Self(app)
    }
}

#[async_trait::async_trait]
impl BlockSink for NodeBlocks {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        // The importer has just computed this CID from these bytes; hashing them once
        // more here is what the store's type asks for.
        let block = replicas::hashing::run(move || blocks::Block::new(cid, bytes))
            .await
            .ok_or("the node is stopping")??;
        self.0.blocks.put(block).await?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl BlockSource for NodeBlocks {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        Ok(self.0.content.get(cid).await?)
    }
}

/// Stores the body as a file, streaming.
#[utoipa::path(post, path = "/api/v1/objects",
    request_body(content_type = "application/octet-stream", content = Vec<u8>), responses(
    (status = 200, body = Imported), (status = 400, body = Failure),
    (status = 503, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn put(State(app): State<App>, body: Body) -> Result<Json<Imported>, ApiError> {
    let reader = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let options = Options {
        concurrency: IN_FLIGHT,
        ..Options::default()
    };
    let sink = NodeBlocks::new(app.clone());
    let imported = unixfs::import_reader(std::pin::pin!(reader), &sink, &options)
        .await
        .map_err(import_failed)?;
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
    let source = RootOnce::new(cid, NodeBlocks::new(app.clone()));
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
        (header::ETAG, format!("\"{cid}\"")),
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
    let cid = parse_cid(&cid)?;
    let source = NodeBlocks::new(app.clone());
    let stat = unixfs::stat(&cid, &source).await.map_err(export_failed)?;
    let (copies, keepers) = tokio::join!(copies(&app, &cid), app.blocks.keepers(&cid));
    Ok(Json(ObjectStat {
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
    }))
}

fn describe_keeper(keeper: replicas::Keeper) -> Keeper {
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
    let source = NodeBlocks::new(app);
    let entries = unixfs::ls(&cid, &source, IN_FLIGHT)
        .await
        .map_err(export_failed)?;
    let describe = |entry: unixfs::Entry| DirectoryEntry {
        name: entry.name,
        cid: entry.cid.to_string(),
        size: entry.size,
        kind: entry.kind.to_string(),
    };
    Ok(Json(entries.into_iter().map(describe).collect()))
}

fn import_failed(error: ImportError) -> ApiError {
    match error {
        ImportError::Sink { source, .. } => match source.downcast::<replicas::PutError>() {
            Ok(error) => (*error).into(),
            Err(error) => ApiError::internal(error),
        },
        ImportError::Read { .. } => ApiError::bad_request("the body broke off"),
        error => ApiError::bad_request(error),
    }
}

pub(super) fn export_failed(error: ExportError) -> ApiError {
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
