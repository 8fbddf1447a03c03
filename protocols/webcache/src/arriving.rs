//! A body that comes from an origin, is written to disk, and is read by all who wait while it
//! comes (Q21, Q22).

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::stream;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use thiserror::Error;
use tokio::{fs::File, io::AsyncWriteExt, sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    body::{self, Body, BoxError},
    digest::Check,
    file::BodyFile,
    store::{Meta, Promise, object_for},
};

/// Bytes a second, after a while, of a body that others have a part in.
pub(crate) const LEAST_RATE: u64 = 4 * 1024;
const GRACE: Duration = Duration::from_secs(30);

/// The same of one that a client waits for.
const HELD_RATE: u64 = 128 * 1024;
const HELD_GRACE: Duration = Duration::from_secs(10);

/// How long a body that is nearly there goes on when nobody reads it any more.
const ALONE: Duration = Duration::from_secs(10);

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) written: u64,
    pub(crate) end: Option<End>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Broken,
    /// It has another digest than it should have.
    Wrong,
}

/// A body on its way.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// As it will be stored; its size is 0 until it is known.
    pub(crate) meta: Meta,
    /// Status and fields as the origin sent them.
    pub(crate) head: (StatusCode, HeaderMap),
    /// As the origin has announced it.
    pub(crate) length: Option<u64>,
    pub(crate) file: Arc<BodyFile>,
    pub(crate) progress: watch::Receiver<Progress>,
    /// Cancelled when it has ended; whoever waits for that is no reader.
    pub(crate) done: CancellationToken,
    /// Whether no client is given any of it before it has turned out to be right (Q35).
    pub(crate) held: bool,
}

/// Somebody who will read a body on its way, so that it does not come for nobody.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) arriving: Arc<Arriving>,
    _reader: watch::Receiver<Progress>,
}

impl Reading {
    pub(crate) fn new(arriving: Arc<Arriving>) -> Reading {
        Reading {
            _reader: arriving.progress.clone(),
            arriving,
        }
    }
}

impl Arriving {
    /// How long a client waits for it where it is held back.
    pub(crate) fn patience(&self) -> Duration {
        let length = self.length.unwrap_or(0);
        HELD_GRACE + Duration::from_secs(length / HELD_RATE)
    }

    /// How it ended, where it has.
    pub(crate) fn ended(&self) -> Option<End> {
        self.progress.borrow().end
    }

    /// How it ends.
    pub(crate) async fn end(&self) -> End {
        let mut progress = self.progress.clone();
        let ended = progress.wait_for(|progress| progress.end.is_some()).await;
        ended.map_or(End::Broken, |progress| progress.end.unwrap_or(End::Broken))
    }

    /// Whether it is the answer to such a request too.
    pub(crate) fn answers(&self, url: &str, request: &HeaderMap) -> bool {
        let object = object_for(url, &self.meta.vary, request);
        self.meta.url == url && self.meta.object == object.to_string()
    }

    /// Whether it may be given to others than who asked for it.
    pub(crate) fn is_fresh(&self, now: SystemTime) -> bool {
        self.meta.policy.time_to_live(now) > Duration::ZERO
    }

    /// The body, as far as it has come and as it comes. An end that is not the whole is an
    /// error, which the client sees as a connection that breaks.
    pub(crate) async fn body(&self) -> io::Result<Body> {
        // First, so that it counts as a reader while the file is opened.
        let progress = self.progress.clone();
        let open = File::open(self.file.path()).await?;
        let start = (open, 0u64, progress, Arc::clone(&self.file));
        let length = self.length;
        let chunks = stream::try_unfold(
            start,
            move |(mut open, at, mut progress, file)| async move {
                loop {
                    let Progress { mut written, end } = *progress.borrow_and_update();
                    // The last byte says that all is well, so it waits until that is known.
                    if end.is_none() && length == Some(written) {
                        written = written.saturating_sub(1);
                    }
                    if at < written {
                        let chunk = body::read_chunk(&mut open, written - at).await?;
                        let at = at + chunk.len() as u64;
                        return Ok::<_, BoxError>(Some((
                            Frame::data(chunk),
                            (open, at, progress, file),
                        )));
                    }
                    match end {
                        Some(End::Whole) => return Ok(None),
                        Some(End::Broken | End::Wrong) => return Err(broken().into()),
                        None => progress.changed().await.map_err(|_| broken())?,
                    }
                }
            },
        );
        Ok(StreamBody::new(chunks).boxed_unsync())
    }
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the origin's answer ended before its end",
    )
}

/// What a body must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// As announced.
    pub(crate) length: Option<u64>,
    pub(crate) most: u64,
    /// How long nothing may come.
    pub(crate) stall: Duration,
    /// Bytes a second that must come at least, all in all.
    pub(crate) least: Option<u64>,
}

impl Limits {
    /// When the next bytes must be there.
    fn deadline(&self, start: Instant, written: u64) -> Instant {
        let stalled = Instant::now() + self.stall;
        let late = self.least.map(|rate| {
            let time = Duration::from_secs(written / rate.max(1));
            start + GRACE + time
        });
        late.map_or(stalled, |late| late.min(stalled))
    }
}

/// Writes a body to its file until it ends, breaks off, is larger than `most`, nothing comes for
/// `stall`, or nobody reads it any more. Gives its size if it is whole and has the digests that it
/// has to have.
pub(crate) async fn receive(
    mut body: Body,
    mut checks: Vec<Check>,
    mut file: File,
    limits: Limits,
    promise: &mut Promise,
    progress: &watch::Sender<Progress>,
) -> Result<u64, Broken> {
    let Limits { length, most, .. } = limits;
    let start = Instant::now();
    let mut left_alone = None;
    let mut written = 0u64;
    loop {
        let deadline = limits.deadline(start, written);
        let deadline = left_alone.map_or(deadline, |alone: Instant| alone.min(deadline));
        let frame = tokio::time::timeout_at(deadline, body.frame()).await;
        let frame = frame.map_err(|error| Broken::Other(error.into()))?;
        let Some(frame) = frame.transpose().map_err(Broken::Other)? else {
            break;
        };
        // Trailers are not kept.
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        written += chunk.len() as u64;
        if written > most {
            return Err(Broken::Other("it is larger than what is kept".into()));
        }
        for check in &mut checks {
            check.add(&chunk);
        }
        file.write_all(&chunk).await?;
        // Tokio's files take a write and do it later; what is announced must be there.
        file.flush().await?;
        promise.written(chunk.len() as u64);
        progress.send_modify(|progress| progress.written = written);
        // One receiver is with the flight. A body that is nearly there is finished for the next.
        let nearly = length.is_some_and(|length| written >= length / 4 * 3);
        if progress.receiver_count() > 1 {
            left_alone = None;
        } else if nearly {
            left_alone.get_or_insert(Instant::now() + ALONE);
        } else {
            return Err(Broken::Other("nobody waits for it any more".into()));
        }
    }
    if length.is_some_and(|length| length != written) {
        return Err(Broken::Other(
            "it has another length than was announced".into(),
        ));
    }
    file.flush().await?;
    match checks.into_iter().all(Check::holds) {
        true => Ok(written),
        false => Err(Broken::Digest),
    }
}

/// Why a body is not kept.
#[derive(Debug, Error)]
pub(crate) enum Broken {
    /// Its bytes are not those that were asked for.
    #[error("its bytes do not have the digest that they should have")]
    Digest,
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// It did not come to its end, or not to the one that was announced.
    #[error("{0}")]
    Other(BoxError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    const KIB: usize = 1024;

    /// Receives a body of which a chunk comes every 20 s, of so many of the chunks, and says how
    /// long that took. Time is virtual.
    async fn received(chunks: usize, size: usize, least: Option<u64>, read: bool) -> (bool, u64) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 64 << 20).unwrap();
        let length = (chunks * size) as u64;
        let mut promise = store.promise(Some(length)).unwrap();
        let file = File::create(folder.path().join("x")).await.unwrap();
        let frames = stream::unfold(0, move |sent| async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            let frame = Frame::data(vec![0; size].into());
            (sent < chunks).then(|| (Ok::<_, BoxError>(frame), sent + 1))
        });
        let body = StreamBody::new(frames).boxed_unsync();
        let (sender, flight) = watch::channel(Progress {
            written: 0,
            end: None,
        });
        let reader = read.then(|| flight.clone());
        let limits = Limits {
            length: Some(length),
            most: length,
            stall: Duration::from_secs(60),
            least,
        };
        let start = Instant::now();
        let end = receive(body, Vec::new(), file, limits, &mut promise, &sender).await;
        drop(reader);
        (end.is_ok(), start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_others_have_a_part_in_has_a_least_rate() {
        let least = Some(LEAST_RATE);
        // 80 KiB in 20 s are just as much as it takes.
        assert!(received(8, 80 * KIB, least, true).await.0);
        let (whole, seconds) = received(8, 1, least, true).await;
        assert!(!whole && seconds <= GRACE.as_secs() + 1, "{seconds}");
        assert!(received(8, 1, None, true).await.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_reads_does_not_go_on_for_long() {
        let (whole, seconds) = received(1, 80, None, false).await;
        // Nearly there at once, and then nothing comes for longer than it may be alone.
        assert!(!whole, "{seconds}");
        assert!((20..=31).contains(&seconds), "{seconds}");
    }
}
