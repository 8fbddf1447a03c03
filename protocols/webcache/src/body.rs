//! Bodies as the proxy hands them on.

use std::{
    error::Error,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, BodyStream, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::{sync::watch, time::Instant};

use crate::{file::BodyFile, parts::Parts};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// A body of a request or an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn text(text: String) -> Body {
    bytes(Bytes::from(text))
}

pub(crate) fn bytes(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body that was read to its end, or is as it was: from the beginning.
#[derive(Debug)]
pub(crate) enum Collected {
    Whole(Bytes),
    Rest(Body),
}

/// Reads a body, unless it has more than `most` bytes or takes longer than `patience`.
///
/// # Errors
/// When it breaks off.
pub(crate) async fn collect(
    mut body: Body,
    most: usize,
    patience: Duration,
) -> Result<Collected, BoxError> {
    let mut chunks = Vec::new();
    let mut size = 0;
    let end = Instant::now() + patience;
    loop {
        let next = tokio::time::timeout_at(end, body.frame()).await;
        match next {
            Ok(Some(frame)) => {
                if let Ok(chunk) = frame?.into_data() {
                    size += chunk.len();
                    chunks.push(chunk);
                }
            }
            Ok(None) => break,
            Err(_) => return Ok(Collected::Rest(with(chunks, body))),
        }
        if size > most {
            return Ok(Collected::Rest(with(chunks, body)));
        }
    }
    let whole = match <[Bytes; 1]>::try_from(chunks) {
        Ok([chunk]) => chunk,
        Err(chunks) => chunks.concat().into(),
    };
    Ok(Collected::Whole(whole))
}

/// A body with these before what comes of it.
fn with(chunks: Vec<Bytes>, body: Body) -> Body {
    let begun = stream::iter(chunks.into_iter().map(|chunk| Ok(Frame::data(chunk))));
    StreamBody::new(begun.chain(BodyStream::new(body))).boxed_unsync()
}

/// A client's body, on its way to an origin.
pub(crate) fn of_client(body: Incoming) -> Body {
    if body.is_end_stream() {
        return empty();
    }
    body.map_err(BoxError::from).boxed_unsync()
}

/// A body that tells how it gets on: a change for each of its frames, and the end of the channel
/// when all of it has gone, or nobody takes it any more.
#[derive(Debug)]
pub(crate) struct Watched {
    body: Body,
    moved: watch::Sender<()>,
}

impl Watched {
    pub(crate) fn new(body: Body) -> (Watched, watch::Receiver<()>) {
        let (moved, moves) = watch::channel(());
        (Watched { body, moved }, moves)
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.moved.send_replace(());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that calls `end` when all of it has been taken, or nobody takes it any more.
pub(crate) fn with_end(body: Body, end: impl FnOnce() + Send + 'static) -> Body {
    let end = Some(end);
    Ended { body, end }.boxed_unsync()
}

struct Ended<F: FnOnce()> {
    body: Body,
    end: Option<F>,
}

// The body is in a box of its own.
impl<F: FnOnce()> Unpin for Ended<F> {}

impl<F: FnOnce()> hyper::body::Body for Ended<F> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<F: FnOnce()> Drop for Ended<F> {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

/// An origin's body, on its way to a client, that breaks off when nothing comes for `stall`.
pub(crate) fn of_origin(body: Incoming, stall: Duration) -> Body {
    if body.is_end_stream() {
        return empty();
    }
    let frames = stream::try_unfold(body, move |mut body| async move {
        let frame = tokio::time::timeout(stall, body.frame()).await?;
        let frame = frame.transpose()?;
        Ok::<_, BoxError>(frame.map(|frame| (frame, body)))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Reads a body that nobody wants, so that it becomes whole.
pub(crate) async fn drain(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// Bytes `from` to before `to` of a file, of which the first have been read.
///
/// # Errors
/// The disk's.
pub(crate) async fn of_file(file: Arc<BodyFile>, from: u64, to: u64) -> io::Result<Body> {
    // The file's owner goes along, so that it stays until it is read.
    let mut parts = Parts::new(file, from, to);
    let first = parts.next().await?.unwrap_or_default();
    if parts.is_done() {
        return Ok(bytes(first));
    }
    let rest = stream::try_unfold(parts, async |mut parts| {
        let chunk = parts.next().await?;
        Ok::<_, BoxError>(chunk.map(|chunk| (Frame::data(chunk), parts)))
    });
    let first = stream::iter([Ok(Frame::data(first))]);
    Ok(StreamBody::new(first.chain(rest)).boxed_unsync())
}
