//! Work that takes long: the answer is a line of JSON for each step.

use std::{convert::Infallible, future::Future, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    App,
    failure::ApiError,
    types::{ArchiveEvent, Failure, FsckEvent, GcEvent, JobProgress, PinEvent, PruneEvent},
};

/// Lines that wait for a client. What is said of progress meanwhile is left out.
const WAITING: usize = 4;

/// A line of a job.
pub(crate) trait Event: Serialize + Send + 'static {
    /// How far it is.
    fn progress(progress: JobProgress) -> Self;
    /// It failed.
    fn failed(failure: Failure) -> Self;
}

macro_rules! event {
    ($($kind:ident),*) => {$(
        impl Event for $kind {
            fn progress(progress: JobProgress) -> Self {
                $kind::Progress(progress)
            }

            fn failed(failure: Failure) -> Self {
                $kind::Failed(failure)
            }
        }
    )*};
}

event!(ArchiveEvent, PinEvent, GcEvent, FsckEvent, PruneEvent);

/// What a job tells about itself.
enum Step<E> {
    At(JobProgress),
    End(Result<E, ApiError>),
}

/// Tells how far a job is.
pub(crate) type Tell = Arc<dyn Fn(JobProgress) + Send + Sync>;

/// Runs a job and tells the client how far it is; it goes on though the client goes away. What
/// ends it before it has got anywhere is the answer's status.
pub(crate) async fn run<E, F>(
    app: &App,
    job: impl FnOnce(Tell) -> F + Send + 'static,
) -> Result<Response, ApiError>
where
    E: Event,
    F: Future<Output = Result<E, ApiError>> + Send + 'static,
{
    start(app, job, |_| std::future::pending()).await
}

/// The same of one that only waits for what goes on by itself: it ends with the client.
pub(crate) async fn run_while_heard<E, F>(
    app: &App,
    job: impl FnOnce(Tell) -> F + Send + 'static,
) -> Result<Response, ApiError>
where
    E: Event,
    F: Future<Output = Result<E, ApiError>> + Send + 'static,
{
    start(app, job, |steps: mpsc::Sender<Step<E>>| async move {
        steps.closed().await;
    })
    .await
}

async fn start<E, F, G>(
    app: &App,
    job: impl FnOnce(Tell) -> F + Send + 'static,
    deaf: impl FnOnce(mpsc::Sender<Step<E>>) -> G + Send + 'static,
) -> Result<Response, ApiError>
where
    E: Event,
    F: Future<Output = Result<E, ApiError>> + Send + 'static,
    G: Future<Output = ()> + Send,
{
    let (tell, mut steps) = mpsc::channel(WAITING);
    let progress = tell.clone();
    let stop = app.stop.clone();
    tokio::spawn(async move {
        let report: Tell = Arc::new(move |at| {
            let _ = progress.try_send(Step::At(at));
        });
        let outcome = tokio::select! {
            outcome = job(report) => outcome,
            () = deaf(tell.clone()) => return,
            () = stop.cancelled() => Err(ApiError::unavailable("the node is stopping")),
        };
        // Nobody listens where the client has gone away.
        let _ = tell.send(Step::End(outcome)).await;
    });
    let first = steps.recv().await;
    if let Some(Step::End(Err(error))) = first {
        return Err(error);
    }
    let lines = stream::unfold((first, steps), move |(ready, mut steps)| async move {
        let step = match ready {
            Some(step) => step,
            None => steps.recv().await?,
        };
        Some((Ok::<_, Infallible>(line(step)), (None, steps)))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn line<E: Event>(step: Step<E>) -> Bytes {
    let event = match step {
        Step::At(at) => E::progress(JobProgress {
            total: at.total.max(at.done),
            ..at
        }),
        Step::End(Ok(event)) => event,
        Step::End(Err(error)) => E::failed(error.into_failure()),
    };
    let mut line = serde_json::to_vec(&event).expect("a struct of texts and numbers");
    line.push(b'\n');
    line.into()
}
