//! Archived versions (`docs/specs/archive.md`).

use ::archive::{AddError, Archived, FindError, Handle, Manifest, RestoreError};
use axum::{
    Json,
    extract::{Path, Query, State},
    response::Response,
};
use objects::Spoken;
use serde::Deserialize;

use super::{
    App,
    failure::ApiError,
    job::{self, Tell},
    named,
    types::{
        ArchiveAdded, ArchiveColumn, ArchiveEvent, ArchiveLooked, ArchiveOverview, ArchiveRestored,
        ArchiveStatus, ArchivedVersion, Failure, JobProgress,
    },
};

/// How to archive.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct How {
    /// Whether to archive anew what is archived already.
    #[serde(default)]
    again: bool,
}

/// The archives of this node's names, and what it keeps for all.
#[utoipa::path(get, path = "/api/v1/archive", responses(
    (status = 200, body = ArchiveOverview), (status = 503, body = Failure)))]
pub(crate) async fn overview(State(app): State<App>) -> Result<Json<ArchiveOverview>, ApiError> {
    let archives = app.archive.own().await?;
    let kept = app.archive.usage();
    Ok(Json(ArchiveOverview {
        archives: archives.iter().map(describe).collect(),
        looked_after: app.archive.looked_after(),
        fragments: kept.fragments.items,
        fragment_bytes: kept.fragments.bytes,
        manifests: kept.manifests.items,
        manifest_bytes: kept.manifests.bytes,
    }))
}

/// How the archives of an object are, newest version first, or that of one version.
#[utoipa::path(get, path = "/api/v1/archive/{reference}", params(("reference" = String, Path)), responses(
    (status = 200, body = [ArchiveStatus]), (status = 400, body = Failure),
    (status = 404, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn status(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Vec<ArchiveStatus>>, ApiError> {
    let manifests = match Spoken::parse(&reference).map_err(ApiError::bad_request)? {
        Spoken::Object(object) if object.version == objects::Version::Newest => {
            let aguid = named::resolve(&app, &reference).await?.aguid;
            let all = app.archive.all(aguid).await.map_err(find_failed)?;
            if all.is_empty() {
                return Err(find_failed(FindError::Nothing));
            }
            all
        }
        _ => vec![find(&app, &reference).await?],
    };
    let mut counted = Vec::with_capacity(manifests.len());
    for manifest in &manifests {
        counted.push(count(&app.archive, manifest).await);
    }
    Ok(Json(counted))
}

/// Archives a version of a name of this node's key. The answer is a line of JSON for each step;
/// it goes on though the client goes away.
#[utoipa::path(post, path = "/api/v1/archive/{reference}", params(("reference" = String, Path), How), responses(
    (status = 200, body = ArchiveEvent, content_type = "application/x-ndjson"),
    (status = 400, body = Failure), (status = 403, body = Failure), (status = 404, body = Failure),
    (status = 409, body = Failure), (status = 413, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn add(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(how): Query<How>,
) -> Result<Response, ApiError> {
    let record = named::record(&app, &reference).await?;
    let (archive, total) = (app.archive.clone(), record.fields().size);
    job::run(&app, move |tell: Tell| async move {
        let report = |done| tell(JobProgress { done, total });
        let added = archive.add(record, how.again, &report).await;
        let added = added.map_err(add_failed)?;
        Ok(ArchiveEvent::Added(ArchiveAdded {
            archive: describe(&Archived::of(&added.manifest)),
            nodes: added.manifest.rate().fragments(),
            parts: added.manifest.segments(),
            missing: added.missing,
            reason: added.first_failure,
        }))
    })
    .await
}

/// Puts all blocks of an archived version back into the network. The answer is a line of JSON
/// for each step; it goes on though the client goes away.
#[utoipa::path(post, path = "/api/v1/archive/{reference}/restore", params(("reference" = String, Path)), responses(
    (status = 200, body = ArchiveEvent, content_type = "application/x-ndjson"),
    (status = 400, body = Failure), (status = 404, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn restore(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Response, ApiError> {
    let manifest = find(&app, &reference).await?;
    let (archive, total) = (app.archive.clone(), manifest.contents().length);
    let objects = app.objects.clone();
    job::run(&app, move |tell: Tell| async move {
        let report = |done| tell(JobProgress { done, total });
        let restored = archive.restore(&manifest, &report).await;
        let restored = restored.map_err(restore_failed)?;
        let record = manifest.record();
        let root = record.root().map(|root| root.to_string());
        Ok(ArchiveEvent::Restored(ArchiveRestored {
            archive: describe(&Archived::of(&manifest)),
            root: root.unwrap_or_default(),
            blocks: restored.blocks,
            missing: restored.missing,
            damaged: restored.bad,
            named: name_again(&objects, record).await,
        }))
    })
    .await
}

/// Has the name lead to the version again, where nothing is known of it (H18); whether it leads
/// to that or to a later one.
async fn name_again(objects: &objects::Handle, record: &objects::Record) -> bool {
    match objects.newest(record.aguid()).await {
        Ok(heads) => heads.seq() >= record.seq(),
        Err(objects::ReadError::NotFound { .. }) => {
            objects.bring_back(record.clone()).await.is_ok()
        }
        Err(_) => false,
    }
}

/// The manifest that a reference, or the CID of a version's record, means.
async fn find(app: &App, text: &str) -> Result<Manifest, ApiError> {
    match Spoken::parse(text).map_err(ApiError::bad_request)? {
        Spoken::Content(cid) => app.archive.of_version(&cid).await?.ok_or_else(|| {
            ApiError::not_found(format!("{cid} is not the record of an archived version"))
                .with_hint("a name, or the VGUID that `hedgerow object versions` shows, is wanted")
        }),
        Spoken::Object(_) => {
            let named = named::resolve(app, text).await?;
            let found = app.archive.find(named.aguid, named.version).await;
            found.map_err(find_failed)
        }
    }
}

async fn count(archive: &Handle, manifest: &Manifest) -> ArchiveStatus {
    let census = archive.census(manifest).await;
    let looked = archive.looked(&manifest.record().vguid());
    ArchiveStatus {
        archive: describe(&Archived::of(manifest)),
        parts: manifest.segments(),
        least: census.least(),
        there: census.there(),
        wanted: (manifest.segments() * manifest.rate().fragments()) as u64,
        nodes: census.nodes(),
        columns: census
            .columns
            .iter()
            .map(|column| ArchiveColumn {
                peer_id: column.node.map(|node| node.to_string()),
                there: match &column.lacks {
                    Ok(lacks) => manifest.segments() - lacks.len(),
                    Err(_) => 0,
                },
                reason: column.lacks.as_ref().err().cloned(),
            })
            .collect(),
        looked: looked.map(|looked| ArchiveLooked {
            at: looked.at,
            there: looked.there,
            made: looked.made,
            lost: looked.lost,
        }),
    }
}

fn describe(archived: &Archived) -> ArchivedVersion {
    ArchivedVersion {
        name: archived.name.clone(),
        version: archived.seq,
        vguid: archived.vguid.to_string(),
        archived: archived.made,
        needed: archived.rate.needed(),
        fragments: archived.rate.fragments(),
        bytes: archived.length,
    }
}

fn add_failed(error: AddError) -> ApiError {
    let message = error.to_string();
    match error {
        AddError::NotYours(_) => ApiError::forbidden(message).with_hint(
            "put it under a name of your own first, and archive that: its blocks are shared",
        ),
        AddError::Removed(_) => {
            ApiError::not_found(message).with_hint("an earlier version has content, as in NAME@v1")
        }
        AddError::Already { .. } => ApiError::already(message).with_hint(
            "see `hedgerow archive status NAME`; to spread it over other nodes use --again",
        ),
        AddError::TooFewNodes(_) => ApiError::unavailable(message)
            .with_hint("start another node, and wait until `hedgerow overlay leafset` shows it"),
        AddError::TooLarge { .. } => ApiError::too_large(message),
        AddError::Unknown(error) => {
            ApiError::from(error).about("whether it is archived already is not known")
        }
        AddError::Manifest(error) => ApiError::from(error)
            .about("its fragments are stored, but not what tells where they are"),
        AddError::Walk(_) | AddError::TooFewStored { .. } | AddError::Placement(_) => {
            ApiError::unavailable(message).with_hint("try again when the network has settled")
        }
        AddError::Busy(_) => {
            ApiError::unavailable(message).with_hint("try again when one of them has ended")
        }
        AddError::Stopped => ApiError::unavailable(message),
        AddError::Code(_) | AddError::Sign(_) => ApiError::internal(message),
    }
}

fn find_failed(error: FindError) -> ApiError {
    let message = error.to_string();
    match error {
        FindError::Nothing => ApiError::not_found(message)
            .with_hint("its owner archives it with: hedgerow archive add NAME"),
        FindError::NotThis { .. } => {
            ApiError::not_found(message).with_hint("see `hedgerow archive status NAME`")
        }
        FindError::Replicas(error) => error.into(),
        FindError::Store(error) => error.into(),
    }
}

fn restore_failed(error: RestoreError) -> ApiError {
    let message = error.to_string();
    match error {
        RestoreError::TooFew { .. } => ApiError::unavailable(message).with_hint(
            "try again when more of the nodes are back; `hedgerow archive status NAME` counts",
        ),
        RestoreError::Wrong(_) => ApiError::internal(message),
        RestoreError::Put { .. } => {
            ApiError::unavailable(message).with_hint("try again when the network has settled")
        }
        RestoreError::Busy(_) => {
            ApiError::unavailable(message).with_hint("try again when one of them has ended")
        }
        RestoreError::Stopped => ApiError::unavailable(message),
    }
}
