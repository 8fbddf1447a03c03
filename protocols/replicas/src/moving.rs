//! Waiting for as long as bytes move (R6): where the way is slow, a large item takes long,
//! and what hangs moves nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::io::{AsyncRead, AsyncWrite};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// As long as bytes move, something may take so many times as long as it may without: an item of
/// 1 MiB gets through where four of them share 18 kB a second.
pub(crate) const PATIENT_TIMES: u32 = 16;

/// Fewer bytes than these are no progress: else a byte now and then would keep what is held for a
/// peer as long as it likes.
const STEP: usize = 16 * 1024;

/// When bytes last went through a stream, a step of them at a time.
pub(crate) struct Progress(Mutex<Moved>);

struct Moved {
    at: Instant,
    /// Bytes since then.
    since: usize,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress(Mutex::new(Moved {
            at: Instant::now(),
            since: 0,
        }))
    }
}

impl Progress {
    fn note(&self, bytes: &Poll<std::io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = bytes {
            let mut moved = self.0.lock();
            moved.since += bytes;
            if moved.since >= STEP {
                *moved = Moved {
                    at: Instant::now(),
                    since: 0,
                };
            }
        }
    }

    /// When a step of bytes was full last.
    pub(crate) fn at(&self) -> Instant {
        self.0.lock().at
    }

    /// Waits until nothing has moved for `patience` since `begin`.
    async fn still(&self, begin: Instant, patience: Duration) {
        loop {
            let due = self.0.lock().at.max(begin) + patience;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }

    /// What `work` gives, or `None` when it is overdue: nothing has moved for `patience`, or it
    /// takes several times as long.
    pub(crate) async fn within<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let begin = Instant::now();
        tokio::select! {
            done = work => Some(done),
            () = self.still(begin, patience) => None,
            () = sleep_until(begin + patience * PATIENT_TIMES) => None,
        }
    }
}

/// A stream, or one half of it, that notes when bytes go through it.
pub(crate) struct Moving<S> {
    stream: S,
    progress: Arc<Progress>,
}

impl<S> Moving<S> {
    pub(crate) fn new(stream: S, progress: Arc<Progress>) -> Moving<S> {
        Moving { stream, progress }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Moving<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        self.progress.note(&read);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Moving<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, from);
        self.progress.note(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
