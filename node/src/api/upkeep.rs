//! Pins, what is let go, and whether what is kept is whole (`docs/specs/upkeep.md`).

use std::sync::Arc;

use ::upkeep::{CheckError, Checked, CollectError, Pin, PinError, PinState, Progress, Scope};
use axum::{
    Json,
    extract::{Path, Query, State},
    response::Response,
};
use cid::Cid;
use futures::{
    Stream,
    stream::{self, StreamExt},
};
use objects::{Name, Record, Spoken, Version};
use serde::Deserialize;

use super::{
    App,
    failure::ApiError,
    job::{self, Tell},
    named,
    types::{
        Failure, FsckDone, FsckEvent, FsckLost, FsckRequest, GcDone, GcEvent, JobProgress,
        PinEvent, PinStatus, UpkeepStatus,
    },
};

/// Names that are checked where none are given.
const MAX_NAMES: usize = objects::MAX_NAMES;

/// How to pin.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct HowToPin {
    /// Whether to wait until all blocks are here; it does unless told otherwise.
    #[serde(default = "yes")]
    wait: bool,
}

fn yes() -> bool {
    true
}

/// How to let go.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct HowToLetGo {
    /// Only count.
    #[serde(default)]
    dry: bool,
}

/// How full the store is, and how its upkeep is.
#[utoipa::path(get, path = "/api/v1/upkeep", responses(
    (status = 200, body = UpkeepStatus), (status = 500, body = Failure)))]
pub(crate) async fn status(State(app): State<App>) -> Result<Json<UpkeepStatus>, ApiError> {
    let usage = app.blocks.usage();
    let pins = app.upkeep.pins().await?;
    let scrubbed = app.upkeep.scrubbed().await?;
    let claimed = app.upkeep.claimed().await?;
    let whole = pins.iter().filter(|pin| pin.state == PinState::Whole);
    Ok(Json(UpkeepStatus {
        blocks: usage.blocks,
        bytes: usage.bytes,
        budget_bytes: usage.quota.unwrap_or(u64::MAX),
        pins: pins.len(),
        whole_pins: whole.count(),
        claims: claimed.made,
        unclaimed: claimed.open,
        scrub_began: scrubbed.began,
        scrub_ended: scrubbed.ended,
        scrubbed: scrubbed.blocks,
        scrub_damaged: scrubbed.damaged,
    }))
}

/// All pins, those added first first.
#[utoipa::path(get, path = "/api/v1/pins", responses(
    (status = 200, body = [PinStatus]), (status = 500, body = Failure)))]
pub(crate) async fn pins(State(app): State<App>) -> Result<Json<Vec<PinStatus>>, ApiError> {
    let pins = app.upkeep.pins().await?;
    Ok(Json(pins.into_iter().map(describe).collect()))
}

/// Keeps all blocks of a version or of content here. The answer is a line of JSON for each step;
/// it goes on though the client goes away.
#[utoipa::path(post, path = "/api/v1/pins/{reference}", params(("reference" = String, Path), HowToPin), responses(
    (status = 200, body = PinEvent, content_type = "application/x-ndjson"),
    (status = 400, body = Failure), (status = 404, body = Failure), (status = 409, body = Failure),
    (status = 503, body = Failure), (status = 507, body = Failure)))]
pub(crate) async fn pin(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(how): Query<HowToPin>,
) -> Result<Response, ApiError> {
    let (root, label) = match Spoken::parse(&reference).map_err(ApiError::bad_request)? {
        Spoken::Content(cid) => (bitswap::as_kept(&cid), String::new()),
        Spoken::Object(_) => {
            let record = named::record(&app, &reference).await?;
            (record.vguid(), label(&app, &record).await)
        }
    };
    let upkeep = app.upkeep.clone();
    job::run_while_heard(&app, move |tell: Tell| async move {
        let pin = upkeep
            .pin(root, &label)
            .await
            .map_err(|error| pin_failed(&error))?;
        if !how.wait {
            return Ok(PinEvent::Pinned(describe(pin)));
        }
        let pinned = upkeep.pinned(root, &told(&tell)).await;
        let pin = pinned.map_err(|error| pin_failed(&error))?;
        Ok(PinEvent::Pinned(describe(pin)))
    })
    .await
}

/// Keeps a version, all pinned versions of a name, or content no longer for this node's own
/// sake. No block is removed.
#[utoipa::path(delete, path = "/api/v1/pins/{reference}", params(("reference" = String, Path)), responses(
    (status = 200, body = [PinStatus]), (status = 400, body = Failure), (status = 404, body = Failure),
    (status = 500, body = Failure)))]
pub(crate) async fn unpin(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Vec<PinStatus>>, ApiError> {
    let mut removed = Vec::new();
    for pin in meant(&app, &reference).await? {
        if app.upkeep.unpin(pin.root).await? {
            removed.push(describe(pin));
        }
    }
    match removed.is_empty() {
        false => Ok(Json(removed)),
        true => Err(ApiError::not_found(format!("{reference} is not pinned"))
            .with_hint("see `hedgerow pin ls`")),
    }
}

/// The pins that a reference means.
async fn meant(app: &App, reference: &str) -> Result<Vec<Pin>, ApiError> {
    let pins = app.upkeep.pins().await?;
    let (aguid, version) = match Spoken::parse(reference).map_err(ApiError::bad_request)? {
        Spoken::Content(cid) => {
            let root = bitswap::as_kept(&cid);
            return Ok(pins.into_iter().filter(|pin| pin.root == root).collect());
        }
        Spoken::Object(_) => {
            let named = named::resolve(app, reference).await?;
            (named.aguid, named.version)
        }
    };
    let mut meant = Vec::new();
    for pin in pins {
        let bytes = match objects::is_vguid(&pin.root) {
            true => app.blocks.get_kept(&pin.root).await?,
            false => continue,
        };
        let is_it = match bytes.and_then(|bytes| Record::decode(&bytes).ok()) {
            Some(record) => {
                let version = match version {
                    Version::Newest => true,
                    Version::Number(number) => record.seq() == number,
                    Version::Vguid(vguid) => record.vguid() == vguid,
                };
                record.aguid() == aguid && version
            }
            // One that has got nothing yet does not even have its record.
            None => {
                let called = pin.label.strip_prefix(reference);
                called.is_some_and(|rest| rest.is_empty() || rest.starts_with("@v"))
            }
        };
        if is_it {
            meant.push(pin);
        }
    }
    Ok(meant)
}

/// Lets go of copies that nobody has need of here. The answer is a line of JSON for each step;
/// it goes on though the client goes away, and at the next start though the node ends.
#[utoipa::path(post, path = "/api/v1/gc", params(HowToLetGo), responses(
    (status = 200, body = GcEvent, content_type = "application/x-ndjson"),
    (status = 409, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn gc(
    State(app): State<App>,
    Query(how): Query<HowToLetGo>,
) -> Result<Response, ApiError> {
    let upkeep = app.upkeep.clone();
    job::run(&app, move |tell: Tell| async move {
        let (unneeded, unneeded_bytes) = match how.dry {
            true => (0, 0),
            false => upkeep.remove_unwanted().await?,
        };
        let collected = upkeep.collect(how.dry, &told(&tell)).await;
        let collected = collected.map_err(collect_failed)?;
        Ok(GcEvent::Done(GcDone {
            dry: how.dry,
            looked: collected.looked,
            looked_bytes: collected.looked_bytes,
            gone: collected.gone,
            gone_bytes: collected.gone_bytes,
            owed: collected.owed,
            pinned: collected.pinned,
            waiting: collected.waiting,
            unneeded,
            unneeded_bytes,
        }))
    })
    .await
}

/// Reads all blocks here, and sees whether those that names and pins lead to are kept by all who
/// have to. The answer is a line of JSON for each step.
#[utoipa::path(post, path = "/api/v1/fsck", request_body = FsckRequest, responses(
    (status = 200, body = FsckEvent, content_type = "application/x-ndjson"),
    (status = 400, body = Failure), (status = 404, body = Failure), (status = 409, body = Failure),
    (status = 503, body = Failure)))]
pub(crate) async fn fsck(
    State(app): State<App>,
    Json(request): Json<FsckRequest>,
) -> Result<Response, ApiError> {
    let mut given = Vec::new();
    for reference in &request.references {
        given.push((
            reference.clone(),
            Spoken::parse(reference).map_err(ApiError::bad_request)?,
        ));
    }
    let scope = match request.here {
        true => Scope::Here,
        false => Scope::Everywhere,
    };
    let checking = app.clone();
    job::run(&app, move |tell: Tell| async move {
        let roots = roots(checking.clone(), given);
        let checked = checking.upkeep.check(scope, roots, &told(&tell)).await;
        Ok(FsckEvent::Done(found(checked.map_err(check_failed)?)))
    })
    .await
}

/// What a check goes through: what it is called and where it begins, or why that is not known.
type Root = (String, Result<Cid, String>);

fn roots(app: App, given: Vec<(String, Spoken)>) -> impl Stream<Item = Root> + Send {
    let everything = given.is_empty();
    let given = stream::iter(given).then({
        let app = app.clone();
        move |(text, spoken)| of_reference(app.clone(), text, spoken)
    });
    let all = stream::once(all_roots(app)).flatten();
    match everything {
        true => all.boxed(),
        false => given.flatten().boxed(),
    }
}

/// The versions that a reference means: all of a name, one that is said, or content.
async fn of_reference(
    app: App,
    text: String,
    spoken: Spoken,
) -> stream::Iter<std::vec::IntoIter<Root>> {
    let roots = match spoken {
        Spoken::Content(cid) => vec![(text, Ok(bitswap::as_kept(&cid)))],
        Spoken::Object(reference) if reference.version == Version::Newest => {
            match named::resolve(&app, &text).await {
                Ok(named) => versions(&app, &text, named.aguid).await,
                Err(error) => vec![(text, Err(error.into_failure().message))],
            }
        }
        Spoken::Object(_) => {
            let record = named::record(&app, &text).await;
            let root = record.map(|record| record.vguid());
            vec![(text, root.map_err(|error| error.into_failure().message))]
        }
    };
    stream::iter(roots)
}

/// All names of this node, the list of them, and all pins.
async fn all_roots(app: App) -> impl Stream<Item = Root> + Send {
    let owner = app.objects.owner();
    let names = match app.objects.names(&owner, "", MAX_NAMES).await {
        Ok(names) => names,
        // Nobody has ever written a name here.
        Err(objects::ReadError::NotFound { .. }) => Vec::new(),
        Err(error) => {
            let unknown = ("the list of names".to_owned(), Err(error.to_string()));
            return stream::iter(vec![unknown]).boxed();
        }
    };
    let pins = match app.upkeep.pins().await {
        Ok(pins) => pins.iter().map(|pin| (what(pin), Ok(pin.root))).collect(),
        Err(error) => vec![("the pins".to_owned(), Err(error.to_string()))],
    };
    let listed = stream::iter(names).then(move |name| {
        let (app, owner) = (app.clone(), owner.clone());
        async move {
            let roots = match Name::new(&name) {
                Ok(known) => versions(&app, &name, objects::aguid(&owner, &known)).await,
                Err(error) => vec![(name, Err(error.to_string()))],
            };
            stream::iter(roots)
        }
    });
    listed.flatten().chain(stream::iter(pins)).boxed()
}

/// The versions of an object that have content.
async fn versions(app: &App, name: &str, aguid: guid::Guid) -> Vec<Root> {
    let history = match app.objects.history(aguid, objects::MAX_HISTORY).await {
        Ok(history) => history,
        Err(error) => return vec![(name.to_owned(), Err(error.to_string()))],
    };
    let floor = match app.upkeep.floor(aguid).await {
        Ok(floor) => floor,
        Err(error) => return vec![(name.to_owned(), Err(error.to_string()))],
    };
    let mut roots: Vec<Root> = history
        .versions
        .iter()
        .filter(|record| record.seq() >= floor)
        .map(|record| (format!("{name}@v{}", record.seq()), Ok(record.vguid())))
        .collect();
    if let Some((_, reason)) = history.missing {
        roots.push((format!("what was before, of {name}"), Err(reason)));
    }
    roots
}

/// A version as its pin is called.
async fn label(app: &App, record: &Record) -> String {
    let (name, seq) = (record.name(), record.seq());
    if *record.author() == app.objects.owner() {
        return format!("{name}@v{seq}");
    }
    let peer = record.author_peer();
    let owner = app
        .aliases
        .of(&peer)
        .await
        .unwrap_or_else(|| peer.to_string());
    format!("{owner}:{name}@v{seq}")
}

fn what(pin: &Pin) -> String {
    match pin.label.is_empty() {
        true => pin.root.to_string(),
        false => pin.label.clone(),
    }
}

fn told(tell: &Tell) -> impl Fn(Progress) + Send + Sync + use<> {
    let tell = Arc::clone(tell);
    move |at: Progress| {
        tell(JobProgress {
            done: at.done,
            total: at.total,
        });
    }
}

fn describe(pin: Pin) -> PinStatus {
    let (state, reason) = match pin.state {
        PinState::Whole => ("whole", None),
        PinState::Getting => ("getting", None),
        PinState::Failed(reason) => ("failed", Some(reason)),
    };
    PinStatus {
        cid: pin.root.to_string(),
        name: Some(pin.label).filter(|label| !label.is_empty()),
        added: pin.added,
        state: state.to_owned(),
        reason,
        blocks: pin.blocks,
        bytes: pin.bytes,
        expected_bytes: pin.expected,
    }
}

fn found(checked: Checked) -> FsckDone {
    FsckDone {
        here: checked.here,
        here_bytes: checked.here_bytes,
        damaged: checked.damaged,
        unpinned: checked.unpinned,
        roots: checked.roots,
        blocks: checked.blocks,
        thin: checked.thin,
        lost: checked.lost,
        named: checked
            .named
            .into_iter()
            .map(|lost| FsckLost {
                of: lost.of,
                block: lost.block.map(|cid| cid.to_string()),
                reason: lost.reason,
            })
            .collect(),
        stopped_at: checked.stopped_at,
    }
}

pub(super) fn pin_failed(error: &PinError) -> ApiError {
    let message = error.to_string();
    match error {
        PinError::Block { .. } => ApiError::unavailable(message)
            .with_hint("it is pinned, and tried again by itself; see `hedgerow pin ls`"),
        PinError::Unsupported(_) => ApiError::bad_request(message),
        PinError::Malformed(_) | PinError::TooMany | PinError::TooDeep => {
            ApiError::bad_request(message)
                .with_hint("what could be got of it stays pinned; `hedgerow pin rm REF` lets it go")
        }
        PinError::Full => ApiError::no_room(message).with_hint("unpin something first"),
        PinError::Removed => ApiError::not_found(message),
        PinError::Stopped | PinError::Versions(_) => ApiError::unavailable(message),
        PinError::Store(error) => error.clone().into(),
    }
}

fn collect_failed(error: CollectError) -> ApiError {
    let message = error.to_string();
    match error {
        CollectError::Unsettled => ApiError::unavailable(message).with_hint(
            "nothing was removed; try again when `hedgerow overlay leafset` shows other nodes",
        ),
        CollectError::Busy => ApiError::already(message),
        CollectError::Store(error) => error.into(),
    }
}

fn check_failed(error: CheckError) -> ApiError {
    let message = error.to_string();
    match error {
        CheckError::Busy => ApiError::already(message),
        CheckError::Store(error) => error.into(),
    }
}
