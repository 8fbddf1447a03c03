//! Versioned objects under names (J1 to J19 of `docs/specs/objects.md`).

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, header},
    response::Response,
};
use futures::future::OptionFuture;
use guid::Guid;
use libp2p::identity::PublicKey;
use objects::{
    Action, Heads, Name, Owner, Predicate, Record, Reference, Spoken, Target, Update, Version,
};
use serde::Deserialize;

use super::{
    App,
    failure::ApiError,
    objects::{HowToCut, IN_FLIGHT, describe, describe_keeper, export_failed, file, import},
    outcome,
    types::{
        Diff, DiffRange, DiffSide, Failure, MAX_LISTED, NamedStat, ObjectVersion, ObjectVersions,
        ObjectWritten, UpdateRequest,
    },
    updates::read_update,
};

/// Versions that are listed unless more are asked for.
const DEFAULT_HISTORY: usize = 100;

/// Which names.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prefix {
    /// What they begin with, after `OWNER:` where they are not this node's; all unless given.
    #[serde(default)]
    prefix: String,
    /// A name, without its owner, behind which they are: the last one of the answer before.
    after: Option<String>,
}

/// How much of a history.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryLimit {
    /// Versions at most, 1000 at most; 100 unless given.
    limit: Option<usize>,
}

/// What to compare.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    /// A reference or a CID.
    a: String,
    /// A reference or a CID.
    b: String,
}

/// An object that a reference names.
pub(super) struct Named {
    pub(super) aguid: Guid,
    /// Whose it is and what it is called, where the reference says so.
    name: Option<(PublicKey, Name)>,
    pub(super) version: Version,
}

/// The names of this node or of somebody else.
#[utoipa::path(get, path = "/api/v1/named", params(Prefix), responses(
    (status = 200, body = [String]), (status = 400, body = Failure),
    (status = 404, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<Prefix>,
) -> Result<Json<Vec<String>>, ApiError> {
    let (owner, prefix) = Owner::split(&query.prefix).map_err(ApiError::bad_request)?;
    let owner = key_of(&app, &owner).await?;
    let after = query.after.as_deref();
    let names = app
        .objects
        .names_behind(&owner, prefix, after, MAX_LISTED)
        .await;
    Ok(Json(names.map_err(read_failed)?))
}

/// The content of a file, streaming; its tag is the version's VGUID.
#[utoipa::path(get, path = "/api/v1/named/{reference}", params(("reference" = String, Path)), responses(
    (status = 200, description = "the content", content_type = "application/octet-stream"),
    (status = 400, body = Failure), (status = 404, body = Failure), (status = 409, body = Failure),
    (status = 503, body = Failure), (status = 504, body = Failure)))]
pub(crate) async fn get(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Response, ApiError> {
    let record = record(&app, &reference).await?;
    let root = root_of(&record)?;
    file(&app, root, record.vguid()).await
}

/// The record of one version.
#[utoipa::path(get, path = "/api/v1/named/{reference}/version", params(("reference" = String, Path)), responses(
    (status = 200, body = ObjectVersion), (status = 400, body = Failure),
    (status = 404, body = Failure), (status = 409, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn version(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<ObjectVersion>, ApiError> {
    let record = record(&app, &reference).await?;
    Ok(Json(describe_record(&record)))
}

/// What an object is: whose, which version, what of content, and whether there is a fork.
#[utoipa::path(get, path = "/api/v1/named/{reference}/stat", params(("reference" = String, Path)), responses(
    (status = 200, body = NamedStat), (status = 400, body = Failure),
    (status = 404, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn stat(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<NamedStat>, ApiError> {
    let named = resolve(&app, &reference).await?;
    let heads = match app.objects.newest(named.aguid).await {
        Ok(heads) => heads,
        Err(error) => return Err(missed(&app, &named, error).await),
    };
    let record = match (named.version, heads.records()) {
        (Version::Newest, [record]) => Some(record.clone()),
        // A fork is shown here, and is an error where one content is wanted.
        (Version::Newest, _) => None,
        (version, _) => match app.objects.version(named.aguid, version).await {
            Ok(record) => Some(record),
            Err(error) => return Err(missed(&app, &named, error).await),
        },
    };
    let root = record.as_ref().and_then(Record::root);
    let content: OptionFuture<_> = root.map(|root| describe(&app, root)).into();
    let (content, keepers) = tokio::join!(content, app.objects.keepers(named.aguid));
    let mut fork = fork_of(&heads);
    if let Some(aside) = app.objects.overtaken(&heads).await.map_err(read_failed)? {
        if fork.is_empty() {
            fork.extend(heads.records().iter().map(describe_record));
        }
        fork.push(describe_record(&aside));
    }
    let newest = &heads.records()[0];
    let owner = newest.author_peer();
    Ok(Json(NamedStat {
        name: newest.name().to_string(),
        owner: owner.to_string(),
        mine: *newest.author() == app.objects.owner(),
        alias: app.aliases.of(&owner).await,
        aguid: named.aguid.to_string(),
        newest: heads.seq(),
        version: record.as_ref().map(describe_record),
        fork,
        content: content.transpose()?,
        // A node that does not know its neighbours yet knows all the rest of this.
        keepers: keepers
            .unwrap_or_default()
            .into_iter()
            .map(describe_keeper)
            .collect(),
    }))
}

/// The versions of an object, newest first.
#[utoipa::path(get, path = "/api/v1/named/{reference}/versions",
    params(("reference" = String, Path), HistoryLimit), responses(
    (status = 200, body = ObjectVersions), (status = 400, body = Failure),
    (status = 404, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn versions(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<HistoryLimit>,
) -> Result<Json<ObjectVersions>, ApiError> {
    let named = resolve(&app, &reference).await?;
    let limit = query.limit.unwrap_or(DEFAULT_HISTORY);
    let history = match app.objects.history(named.aguid, limit).await {
        Ok(history) => history,
        Err(error) => return Err(missed(&app, &named, error).await),
    };
    let floor = app.upkeep.floor(named.aguid).await?;
    Ok(Json(ObjectVersions {
        kept_from: (floor > 0).then_some(floor),
        versions: history.versions.iter().map(describe_record).collect(),
        heads: history.heads,
        overtaken: history.overtaken.as_ref().map(describe_record),
        more: history.more,
        missing: history
            .missing
            .map(|(vguid, why)| format!("{vguid}: {why}")),
    }))
}

/// Makes the body the newest version. `If-Match` (`v3` or a VGUID) and `If-None-Match: *` say
/// of which.
#[utoipa::path(put, path = "/api/v1/named/{reference}", params(("reference" = String, Path), HowToCut),
    request_body(content_type = "application/octet-stream", content = Vec<u8>), responses(
    (status = 200, body = ObjectWritten), (status = 400, body = Failure),
    (status = 403, body = Failure), (status = 409, body = Failure), (status = 412, body = Failure),
    (status = 503, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn put(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(how): Query<HowToCut>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ObjectWritten>, ApiError> {
    let name = own_name(&app, &reference).await?;
    let conditions = conditions(&headers)?;
    let imported = import(&app, &how, body).await?;
    let provided = app.provided.add(imported.cid).await;
    provided.map_err(ApiError::internal)?;
    let update = Update::when(conditions, vec![Action::Set(imported.cid)]);
    write(&app, &name, update).await
}

/// Removes an object by a version that says so; the versions before it stay.
#[utoipa::path(delete, path = "/api/v1/named/{reference}", params(("reference" = String, Path)), responses(
    (status = 200, body = ObjectWritten), (status = 400, body = Failure),
    (status = 403, body = Failure), (status = 404, body = Failure), (status = 409, body = Failure),
    (status = 412, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Result<Json<ObjectWritten>, ApiError> {
    let name = own_name(&app, &reference).await?;
    let update = Update::when(conditions(&headers)?, vec![Action::Remove]);
    write(&app, &name, update).await
}

/// Carries out the first clause whose predicates hold: all of its actions, as one version.
#[utoipa::path(post, path = "/api/v1/named/{reference}/updates", params(("reference" = String, Path)),
    request_body = UpdateRequest, responses(
    (status = 200, body = ObjectWritten), (status = 400, body = Failure),
    (status = 403, body = Failure), (status = 404, body = Failure), (status = 409, body = Failure),
    (status = 412, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn update(
    State(app): State<App>,
    Path(reference): Path<String>,
    Json(request): Json<UpdateRequest>,
) -> Result<Json<ObjectWritten>, ApiError> {
    let name = own_name(&app, &reference).await?;
    let update = read_update(request)?;
    check_restored(&app, &name, &update).await?;
    write(&app, &name, update).await
}

/// Refuses to make a version the newest whose content was pruned and is not there any more: it
/// would be one that nobody can read.
async fn check_restored(app: &App, name: &Name, update: &Update) -> Result<(), ApiError> {
    let aguid = objects::aguid(&app.objects.owner(), name);
    let floor = app.upkeep.floor(aguid).await?;
    let actions = update.clauses.iter().flat_map(|clause| &clause.actions);
    for action in actions {
        let Action::Restore(version) = action else {
            continue;
        };
        // Where it is not known, the update itself says why.
        let Ok(record) = app.objects.version(aguid, *version).await else {
            continue;
        };
        if record.seq() < floor
            && let Err(error) = app.upkeep.bring_back(record.vguid()).await
        {
            return Err(ApiError::not_found(format!(
                "{name}@v{} was pruned: {error}",
                record.seq()
            ))
            .with_hint("`hedgerow archive restore` brings back what was archived"));
        }
    }
    Ok(())
}

/// Where two files differ, by their blocks.
#[utoipa::path(get, path = "/api/v1/diff", params(Pair), responses(
    (status = 200, body = Diff), (status = 400, body = Failure), (status = 404, body = Failure),
    (status = 409, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn diff(
    State(app): State<App>,
    Query(pair): Query<Pair>,
) -> Result<Json<Diff>, ApiError> {
    let (a, b) = (content(&app, &pair.a).await?, content(&app, &pair.b).await?);
    let blocks = &app.node_blocks;
    let side = async |cid| {
        let stat = unixfs::stat(&cid, blocks).await.map_err(export_failed)?;
        Ok::<_, ApiError>(DiffSide {
            cid: cid.to_string(),
            size: stat.size,
        })
    };
    let ranges = unixfs::diff(&a, &b, blocks).await.map_err(export_failed)?;
    Ok(Json(Diff {
        a: side(a).await?,
        b: side(b).await?,
        ranges: ranges
            .into_iter()
            .map(|range| DiffRange {
                offset: range.offset,
                length: range.length,
            })
            .collect(),
    }))
}

async fn write(app: &App, name: &Name, update: Update) -> Result<Json<ObjectWritten>, ApiError> {
    // Not cut off where the client goes away: half a write would be nobody's.
    let (objects, wanted) = (app.objects.clone(), name.clone());
    let written = tokio::spawn(async move { objects.update(&wanted, update).await });
    let written = written
        .await
        .map_err(|_| ApiError::unavailable("the node is stopping"))?;
    match written {
        Ok(written) => Ok(Json(ObjectWritten {
            version: describe_record(&written.record),
            fork: fork_of(&written.newest),
            stored: outcome::stored(written.replicas),
        })),
        Err(objects::WriteError::Read(error)) => {
            let named = Named {
                aguid: objects::aguid(&app.objects.owner(), name),
                name: Some((app.objects.owner(), name.clone())),
                version: Version::Newest,
            };
            Err(missed(app, &named, error).await)
        }
        Err(error) => Err(write_failed(error)),
    }
}

/// The newest versions, where there are several.
pub(super) fn fork_of(heads: &Heads) -> Vec<ObjectVersion> {
    match heads.records() {
        [_] => Vec::new(),
        heads => heads.iter().map(describe_record).collect(),
    }
}

/// The content that a reference or a CID means.
async fn content(app: &App, text: &str) -> Result<cid::Cid, ApiError> {
    match Spoken::parse(text).map_err(ApiError::bad_request)? {
        Spoken::Content(cid) => Ok(cid),
        Spoken::Object(_) => root_of(&record(app, text).await?),
    }
}

/// The record that a reference means.
pub(super) async fn record(app: &App, text: &str) -> Result<Record, ApiError> {
    let named = resolve(app, text).await?;
    match app.objects.version(named.aguid, named.version).await {
        Ok(record) => Ok(record),
        Err(error) => Err(missed(app, &named, error).await),
    }
}

fn root_of(record: &Record) -> Result<cid::Cid, ApiError> {
    record.root().ok_or_else(|| {
        let seq = record.seq();
        ApiError::not_found(format!("version {seq} says that it was removed"))
            .with_hint("an earlier version has content")
    })
}

pub(super) async fn resolve(app: &App, text: &str) -> Result<Named, ApiError> {
    let reference = Reference::parse(text).map_err(ApiError::bad_request)?;
    let version = reference.version;
    Ok(match reference.target {
        Target::Aguid(aguid) => Named {
            aguid,
            name: None,
            version,
        },
        Target::Name(owner, name) => {
            let owner = key_of(app, &owner).await?;
            Named {
                aguid: objects::aguid(&owner, &name),
                name: Some((owner, name)),
                version,
            }
        }
    })
}

async fn key_of(app: &App, owner: &Owner) -> Result<PublicKey, ApiError> {
    let peer = match owner {
        Owner::Me => return Ok(app.objects.owner()),
        Owner::Peer(peer) => *peer,
        Owner::Alias(alias) => app.aliases.get(alias).await.ok_or_else(|| {
            ApiError::not_found(format!("no key is called {alias} here")).with_hint(format!(
                "name it with: hedgerow key alias add {alias} PEERID; a name of yours whose first part has a colon is written me:{alias}:..."
            ))
        })?,
    };
    objects::key_of_peer(&peer).map_err(ApiError::bad_request)
}

/// The name of an object of this node, to write to.
async fn own_name(app: &App, text: &str) -> Result<Name, ApiError> {
    let named = resolve(app, text).await?;
    if named.version != Version::Newest {
        return Err(ApiError::bad_request(
            "only the newest version has a next one",
        ));
    }
    let (owner, name) = match named.name {
        Some(name) => name,
        None => {
            let heads = app.objects.newest(named.aguid).await.map_err(read_failed)?;
            let record = &heads.records()[0];
            (record.author().clone(), record.name().clone())
        }
    };
    if owner != app.objects.owner() {
        let peer = owner.to_peer_id();
        return Err(ApiError::forbidden(format!(
            "{text} is a name of {peer}, and only that key can write it"
        )));
    }
    if name.is_namespace() {
        return Err(ApiError::forbidden(
            "the list of names follows from the objects; it is not written itself",
        ));
    }
    Ok(name)
}

/// The predicates that a request's headers stand for.
fn conditions(headers: &HeaderMap) -> Result<Vec<Predicate>, ApiError> {
    let value = |name: header::HeaderName| {
        headers.get(name).map(|value| {
            let text = value.to_str().unwrap_or_default();
            text.trim().trim_matches('"').to_owned()
        })
    };
    let mut predicates = Vec::new();
    if let Some(tag) = value(header::IF_MATCH) {
        let number = tag.strip_prefix('v').unwrap_or_default().parse();
        predicates.push(match (number, tag.parse()) {
            (Ok(number), _) => Predicate::Version(number),
            (_, Ok(vguid)) => Predicate::Vguid(vguid),
            _ => {
                return Err(ApiError::bad_request(
                    "If-Match is the number of a version, as in v3, or its VGUID",
                ));
            }
        });
    }
    match value(header::IF_NONE_MATCH).as_deref() {
        None => {}
        Some("*") => predicates.push(Predicate::Version(0)),
        Some(_) => return Err(ApiError::bad_request("If-None-Match can only be *")),
    }
    Ok(predicates)
}

pub(super) fn describe_record(record: &Record) -> ObjectVersion {
    let fields = record.fields();
    ObjectVersion {
        name: fields.name.to_string(),
        owner: record.author_peer().to_string(),
        aguid: record.aguid().to_string(),
        version: fields.seq,
        vguid: record.vguid().to_string(),
        root: fields.root.map(|root| root.to_string()),
        size: fields.size,
        time: fields.time,
        previous: fields.previous.iter().map(ToString::to_string).collect(),
    }
}

/// A failure to read, with the names that may have been meant.
async fn missed(app: &App, named: &Named, error: objects::ReadError) -> ApiError {
    let absent = matches!(error, objects::ReadError::NotFound { .. });
    let failure = read_failed(error);
    let Some((owner, name)) = named.name.as_ref().filter(|_| absent) else {
        return failure;
    };
    let failure = failure.about(format_args!("{:?}", name.as_str()));
    let nearest = app.objects.nearest_names(owner, name).await;
    match nearest.is_empty() {
        true => failure.with_hint("list the names with: hedgerow object ls"),
        false => failure.with_hint(format!("did you mean {}?", nearest.join(", "))),
    }
}

pub(crate) fn read_failed(error: objects::ReadError) -> ApiError {
    use objects::ReadError;
    let message = error.to_string();
    match error {
        ReadError::NotFound { asked } => ApiError::not_found(message).with_asked(asked),
        ReadError::Removed { seq } => ApiError::not_found(message).with_hint(format!(
            "earlier versions are there: see `hedgerow object versions`, and restore one as in NAME@v{}",
            seq.saturating_sub(1)
        )),
        ReadError::NoVersion { .. } => {
            ApiError::not_found(message).with_hint("see `hedgerow object versions`")
        }
        ReadError::Fork { .. } => ApiError::fork(message),
        ReadError::TooFar { .. } => ApiError::bad_request(message),
        ReadError::Replicas(error) => error.into(),
        ReadError::Block { vguid, source } => match source.downcast::<replicas::GetError>() {
            Ok(error) => ApiError::from(*error).about(format_args!("record {vguid}")),
            Err(_) => ApiError::internal(message),
        },
        ReadError::Content(error) => export_failed(error),
        _ => ApiError::internal(message),
    }
}

pub(crate) fn write_failed(error: objects::WriteError) -> ApiError {
    use objects::WriteError;
    let message = error.to_string();
    let put_failed = |source: unixfs::BoxError| match source.downcast::<replicas::PutError>() {
        Ok(error) => (*error).into(),
        Err(error) => ApiError::internal(error),
    };
    match error {
        WriteError::Refused(_) => ApiError::precondition(message)
            .with_hint("read the newest version, and try again with it"),
        WriteError::Read(error) => read_failed(error),
        WriteError::Splice(unixfs::SpliceError::Read(error)) => export_failed(error),
        WriteError::Splice(unixfs::SpliceError::Sink { source, .. }) => put_failed(source),
        WriteError::Splice(_) | WriteError::Malformed(_) => ApiError::bad_request(message),
        WriteError::Sign(objects::SignError::Record(_)) => ApiError::bad_request(message),
        WriteError::TooManyNames => ApiError::no_room(message),
        WriteError::Block(source) => put_failed(source),
        WriteError::Store(error) => error.into(),
        WriteError::Unsure { .. } => ApiError::unavailable(message).with_hint(
            "it becomes the newest when they are back: see `hedgerow object versions` before you write again",
        ),
        WriteError::Contended => ApiError::fork(message)
            .with_hint("see `hedgerow object versions`, and write again if yours is not there"),
        WriteError::Names(error) => super::objects::import_failed(error),
        _ => ApiError::internal(message),
    }
}

/// What is in a directory that a version is.
#[utoipa::path(get, path = "/api/v1/named/{reference}/ls", params(("reference" = String, Path)), responses(
    (status = 200, body = [super::types::DirectoryEntry]), (status = 400, body = Failure),
    (status = 404, body = Failure), (status = 409, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn ls(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Vec<super::types::DirectoryEntry>>, ApiError> {
    let root = root_of(&record(&app, &reference).await?)?;
    let entries = unixfs::ls(&root, &app.node_blocks, IN_FLIGHT).await;
    let entries = entries.map_err(export_failed)?;
    Ok(Json(
        entries.into_iter().map(super::objects::entry).collect(),
    ))
}
