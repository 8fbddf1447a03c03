//! Old versions that are kept no more (I17 of `docs/specs/upkeep.md`).

use std::time::Duration;

use ::upkeep::{Keep, MarkError, Progress, PruneError, Pruned};
use axum::{Json, extract::State, response::Response};
use guid::Guid;

use super::{
    App,
    failure::ApiError,
    job::{self, Tell},
    named,
    types::{Failure, JobProgress, PruneDone, PruneEvent, PruneRequest},
};

/// Keeps only some of the versions of this node's objects. What no version needs any more goes
/// from all nodes, a day later. The answer is a line of JSON for each step; it goes on though the
/// client goes away.
#[utoipa::path(post, path = "/api/v1/prune", request_body = PruneRequest, responses(
    (status = 200, body = PruneEvent, content_type = "application/x-ndjson"),
    (status = 400, body = Failure), (status = 403, body = Failure), (status = 404, body = Failure),
    (status = 409, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn prune(
    State(app): State<App>,
    Json(request): Json<PruneRequest>,
) -> Result<Response, ApiError> {
    let keep = Keep {
        last: request.keep_last,
        within: request.keep_seconds.map(Duration::from_secs),
    };
    if keep == Keep::default() {
        return Err(nothing_said());
    }
    let mut objects = Vec::new();
    for name in &request.names {
        let named = named::resolve(&app, name).await?;
        objects.push((name.clone(), named.aguid));
    }
    if let Some(prefix) = &request.prefix {
        let prefix = objects::prefix(prefix).map_err(ApiError::bad_request)?;
        objects.extend(app.upkeep.own_objects(&prefix).await?);
    }
    if objects.is_empty() && request.prefix.is_none() {
        return Err(ApiError::bad_request("names or a prefix are wanted"));
    }
    let pruning = app.clone();
    job::run(&app, move |tell: Tell| async move {
        all(pruning, objects, keep, request.dry, tell).await
    })
    .await
}

async fn all(
    app: App,
    objects: Vec<(String, Guid)>,
    keep: Keep,
    dry: bool,
    tell: Tell,
) -> Result<PruneEvent, ApiError> {
    let mut done = PruneDone {
        dry,
        ..PruneDone::default()
    };
    for (name, aguid) in objects {
        let pruned = app.upkeep.prune(aguid, keep, dry).await;
        let Pruned {
            versions, bytes, ..
        } = pruned.map_err(|error| prune_failed(&name, error))?;
        done.objects += u64::from(versions > 0);
        done.versions += versions;
        done.bytes = done.bytes.saturating_add(bytes);
    }
    if !dry {
        let told = |at: Progress| {
            tell(JobProgress {
                done: at.done,
                total: at.total,
            });
        };
        let released = app.upkeep.release(&told).await;
        done.released = released.map_err(release_failed)?.blocks;
    }
    Ok(PruneEvent::Done(done))
}

fn nothing_said() -> ApiError {
    ApiError::bad_request("it is not said which versions to keep")
        .with_hint("say how many of the newest, or for how long versions are kept")
}

fn prune_failed(name: &str, error: PruneError) -> ApiError {
    let message = format!("{name}: {error}");
    match error {
        PruneError::Read(error) => named::read_failed(*error).about(format_args!("{name:?}")),
        PruneError::Record { .. } => ApiError::unavailable(message)
            .with_hint("nothing of it was pruned; see `hedgerow object versions`"),
        PruneError::NotYours => ApiError::forbidden(message),
        PruneError::Forked(_) => ApiError::fork(message),
        PruneError::KeepsNothing => nothing_said(),
        PruneError::NoAccount => ApiError::unavailable(message),
        PruneError::Store(error) => error.into(),
    }
}

fn release_failed(error: MarkError) -> ApiError {
    ApiError::unavailable(format!("it is pruned, but its blocks stay: {error}")).with_hint(
        "what is to be kept has to be gone through before anything goes; it is done once a day, or when you prune again; see `hedgerow fsck`",
    )
}
