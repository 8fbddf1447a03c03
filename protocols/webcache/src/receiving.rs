//! A body that comes is handed to those who wait from memory and written to its file beside that
//! (Q21, Q22).

use std::{
    fs::File,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use thiserror::Error;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use crate::{
    arriving::Progress,
    body::{Body, BoxError},
    digest::Check,
    memory::{Loan, Memory, Permit},
    store::Promise,
    window::Window,
};

/// Bytes a second, after a while, of a body that others have a part in.
pub(crate) const LEAST_RATE: u64 = 4 * 1024;
const GRACE: Duration = Duration::from_secs(30);

/// How long a body that is nearly there goes on when nobody reads it any more.
const ALONE: Duration = Duration::from_secs(10);

/// Bytes of a body in memory, where there is room for them: so much is written at a time, and a
/// client that is no further behind does not read the file.
pub(crate) const WINDOW: usize = 1024 * 1024;

/// Pieces of them: each of an origin's may hold on to the buffer that it came in, which is larger
/// than it.
const CHUNKS: usize = 64;

/// What a body must keep to.
#[derive(Debug)]
pub(crate) struct Limits {
    /// As announced.
    pub(crate) length: Option<u64>,
    pub(crate) most: u64,
    /// How long nothing may come.
    pub(crate) stall: Duration,
    /// Bytes a second that must come at least, all in all.
    pub(crate) least: Option<u64>,
    /// Memory for what is not written yet; without it one piece at a time is.
    pub(crate) loan: Option<Loan>,
}

impl Limits {
    /// When the next bytes must be there, if so many have come and it has been possible to take
    /// more since `ready`.
    fn deadline(&self, start: Instant, ready: Instant, arrived: u64) -> Instant {
        let stalled = ready + self.stall;
        let late = self.least.map(|rate| {
            let time = Duration::from_secs(arrived / rate.max(1));
            start + GRACE + time
        });
        late.map_or(stalled, |late| late.min(stalled))
    }
}

/// Takes a body until it ends, breaks off, is larger than `most`, nothing comes for `stall`, or
/// nobody reads it any more. Gives its size if it is whole, in its file, and has the digests that
/// it has to have.
pub(crate) async fn receive(
    mut body: Body,
    mut writer: Writer,
    limits: Limits,
    promise: &mut Promise,
    window: &Window,
    progress: &watch::Sender<Progress>,
) -> Result<u64, Broken> {
    let Limits { length, most, .. } = limits;
    // Not 0: what comes must come to be written.
    let room = limits.loan.as_ref().map_or(1, Loan::bytes).max(1);
    let start = Instant::now();
    let mut ready = start;
    let mut left_alone = None;
    let mut arrived = 0u64;
    loop {
        let deadline = limits.deadline(start, ready, arrived);
        let deadline = left_alone.map_or(deadline, |alone: Instant| alone.min(deadline));
        let has_room = writer.waiting < room && writer.chunks < CHUNKS;
        let frame = tokio::select! {
            biased;
            written = writer.written(), if writer.is_busy() => {
                promise.written(written?);
                window.shrink(writer.at, room as u64, CHUNKS);
                if !has_room {
                    ready = Instant::now();
                }
                continue;
            }
            frame = tokio::time::timeout_at(deadline, body.frame()), if has_room => frame,
        };
        let frame = frame.map_err(|error| Broken::Other(error.into()))?;
        let Some(frame) = frame.transpose().map_err(Broken::Other)? else {
            break;
        };
        // Trailers are not kept.
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        ready = Instant::now();
        arrived += chunk.len() as u64;
        if arrived > most {
            return Err(Broken::Other("it is larger than what is kept".into()));
        }
        if !chunk.is_empty() {
            window.push(chunk.clone());
            writer.take(chunk);
        }
        progress.send_modify(|progress| progress.arrived = arrived);
        // One receiver is with the flight. A body that is nearly there is finished for the next.
        let nearly = length.is_some_and(|length| arrived >= length / 4 * 3);
        if progress.receiver_count() > 1 {
            left_alone = None;
        } else if nearly {
            left_alone.get_or_insert(Instant::now() + ALONE);
        } else {
            return Err(Broken::Other("nobody waits for it any more".into()));
        }
    }
    if length.is_some_and(|length| length != arrived) {
        return Err(Broken::Other(
            "it has another length than was announced".into(),
        ));
    }
    while writer.is_busy() {
        promise.written(writer.written().await?);
    }
    // Who still reads it is behind, and a loan ends here.
    window.shrink(arrived, 0, 1);
    match writer.checks.into_iter().all(Check::holds) {
        true => Ok(arrived),
        false => Err(Broken::Digest),
    }
}

/// Writes a file, and holds what it writes against digests, on threads that may wait: one turn for
/// all that has come during the one before.
#[derive(Debug)]
pub(crate) struct Writer {
    memory: Arc<Memory>,
    /// With the turn while there is one.
    file: Option<File>,
    checks: Vec<Check>,
    turn: Option<JoinHandle<Turn>>,
    next: Vec<Bytes>,
    /// Bytes, and pieces, that are not written.
    waiting: usize,
    chunks: usize,
    /// Bytes that are.
    at: u64,
}

/// What comes back from a turn: what went there, how much was written, and how that ended.
#[derive(Debug)]
struct Turn {
    file: File,
    checks: Vec<Check>,
    chunks: Vec<Bytes>,
    end: io::Result<()>,
}

impl Writer {
    pub(crate) fn new(file: File, checks: Vec<Check>, memory: Arc<Memory>) -> Writer {
        Writer {
            memory,
            file: Some(file),
            checks,
            turn: None,
            next: Vec::new(),
            waiting: 0,
            chunks: 0,
            at: 0,
        }
    }

    /// Whether something is not written yet.
    fn is_busy(&self) -> bool {
        self.chunks > 0
    }

    fn take(&mut self, chunk: Bytes) {
        self.waiting += chunk.len();
        self.chunks += 1;
        self.next.push(chunk);
        if let Some(turn) = self.memory.turn_now() {
            self.go_on(turn);
        }
    }

    /// Waits for the turn under way, or for one and for that, and says how many bytes it has
    /// written. May be given up and waited for again.
    async fn written(&mut self) -> io::Result<u64> {
        if self.turn.is_none() {
            let turn = self.memory.turn().await?;
            self.go_on(turn);
        }
        let Some(turn) = &mut self.turn else {
            return Ok(0);
        };
        let done = turn.await.map_err(io::Error::other);
        self.turn = None;
        let done = done?;
        done.end?;
        let bytes: usize = done.chunks.iter().map(Bytes::len).sum();
        self.waiting -= bytes;
        self.chunks -= done.chunks.len();
        self.at += bytes as u64;
        (self.file, self.checks) = (Some(done.file), done.checks);
        if let Some(turn) = self.memory.turn_now() {
            self.go_on(turn);
        }
        Ok(bytes as u64)
    }

    fn go_on(&mut self, turn: Permit) {
        if self.next.is_empty() {
            return;
        }
        let Some(mut file) = self.file.take() else {
            return;
        };
        let (chunks, mut checks) = (
            std::mem::take(&mut self.next),
            std::mem::take(&mut self.checks),
        );
        self.turn = Some(turn.spend(move || {
            let mut write = || {
                for chunk in &chunks {
                    for check in &mut checks {
                        check.add(chunk);
                    }
                    file.write_all(chunk)?;
                }
                Ok(())
            };
            let end = write();
            Turn {
                file,
                checks,
                chunks,
                end,
            }
        }));
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
    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

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
        let file = File::create(folder.path().join("x")).unwrap();
        let frames = stream::unfold(0, move |sent| async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            let frame = Frame::data(vec![0; size].into());
            (sent < chunks).then(|| (Ok::<_, BoxError>(frame), sent + 1))
        });
        let body = StreamBody::new(frames).boxed_unsync();
        let (sender, flight) = watch::channel(Progress {
            arrived: 0,
            end: None,
        });
        let reader = read.then(|| flight.clone());
        let limits = Limits {
            length: Some(length),
            most: length,
            stall: Duration::from_secs(60),
            least,
            loan: None,
        };
        let (start, window) = (Instant::now(), Window::default());
        let writer = Writer::new(file, Vec::new(), Arc::clone(store.memory()));
        let end = receive(body, writer, limits, &mut promise, &window, &sender).await;
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

    /// A body that is said to be `length` bytes long comes in pieces of `size`, and is read by
    /// nobody but who waits for it.
    async fn kept(length: usize, size: usize, loan: Option<Loan>) -> Window {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let store = Store::open(folder.path(), 64 << 20).unwrap();
        let mut promise = store.promise(Some(length as u64)).unwrap();
        let all: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let frames: Vec<_> = all
            .chunks(size)
            .map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk))))
            .collect();
        let body = StreamBody::new(stream::iter(frames)).boxed_unsync();
        let (sender, flight) = watch::channel(Progress {
            arrived: 0,
            end: None,
        });
        let reader = flight.clone();
        let limits = Limits {
            length: Some(length as u64),
            most: length as u64,
            stall: Duration::from_secs(60),
            least: None,
            loan,
        };
        let (file, window) = (File::create(&path).unwrap(), Window::default());
        let writer = Writer::new(file, Vec::new(), Arc::clone(store.memory()));
        let end = receive(body, writer, limits, &mut promise, &window, &sender).await;
        assert_eq!(end.unwrap(), length as u64);
        drop((flight, reader));
        assert!(std::fs::read(&path).unwrap() == all, "another body");
        window
    }

    #[tokio::test]
    async fn what_is_written_is_what_came_and_memory_is_given_back() {
        let memory = Memory::new();
        for (length, size) in [
            (0, 1),
            (10, 1),
            (100, 1),
            (3_000_000, 1000),
            (3_000_000, 64 * KIB),
        ] {
            for loan in [None, memory.lend(WINDOW.min(length))] {
                let window = kept(length, size, loan).await;
                // But for the last piece.
                let last = (length.saturating_sub(1) / size * size) as u64;
                if last > 0 {
                    assert_eq!(window.find(0), crate::window::Place::File(last));
                }
            }
        }
    }

    #[tokio::test]
    async fn a_disk_that_fails_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "").unwrap();
        // For reading only.
        let mut writer = Writer::new(File::open(&path).unwrap(), Vec::new(), Memory::new());
        writer.take(Bytes::from_static(b"x"));
        assert!(writer.written().await.is_err());
    }
}
