//! Our message stream: a bounded queue before one long-lived stream (W4, W5).

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use futures::{AsyncRead as _, AsyncWrite as _};
use libp2p_swarm::Stream;

use crate::{config::MessageConfig, frame::frame_header};

/// How often in a row the stream is opened again without a message getting through.
/// A reset stream deserves another try, a peer that resets them all does not.
pub const MAX_REOPENS: u32 = 3;

enum State {
    /// No stream, and none asked for.
    Idle,
    /// The negotiation is under way.
    Opening,
    Open(Stream),
    /// The peer does not speak the protocol.
    Unsupported,
}

/// What the handler has to report.
pub(crate) enum Progress {
    /// A stream is needed.
    Open,
    /// The stream failed too often; the queue was given up.
    GaveUp(io::Error),
}

pub(crate) struct Outbox {
    pub(crate) config: MessageConfig,
    queue: VecDeque<Bytes>,
    state: State,
    /// The frame being written, with its prefix; empty between frames. Its message stays
    /// at the head of the queue until it is written, so that a new stream repeats it.
    writing: BytesMut,
    needs_flush: bool,
    /// Failures since a message last got through.
    failures: u32,
    /// Drops not reported yet.
    dropped: u64,
}

impl Outbox {
    pub(crate) fn new(config: MessageConfig) -> Self {
        Self {
            config,
            queue: VecDeque::new(),
            state: State::Idle,
            writing: BytesMut::new(),
            needs_flush: false,
            failures: 0,
            dropped: 0,
        }
    }

    /// Queues a message, or counts it as dropped (W4).
    pub(crate) fn send(&mut self, message: Bytes) {
        let refused = self.queue.len() >= self.config.queue
            || message.len() > self.config.max_frame
            || matches!(self.state, State::Unsupported);
        if refused {
            self.dropped += 1;
        } else {
            self.queue.push_back(message);
        }
    }

    /// Whether something is still on its way out.
    pub(crate) fn is_busy(&self) -> bool {
        !self.queue.is_empty() || self.needs_flush
    }

    /// Drops since the last call.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    pub(crate) fn on_open(&mut self, mut stream: Stream) {
        // Whether an idle connection is worth keeping is the behaviour's decision.
        stream.ignore_for_keep_alive();
        self.writing.clear();
        self.state = State::Open(stream);
    }

    pub(crate) fn on_unsupported(&mut self) {
        self.state = State::Unsupported;
        self.give_up();
    }

    /// The peer announced the protocol.
    pub(crate) fn on_supported(&mut self) {
        if matches!(self.state, State::Unsupported) {
            self.state = State::Idle;
        }
    }

    /// The stream failed, or could not be opened. The error comes back if this was once
    /// too often and the queue was given up (W5).
    pub(crate) fn on_failure(&mut self, error: io::Error) -> Option<io::Error> {
        self.state = State::Idle;
        self.writing.clear();
        self.needs_flush = false;
        self.failures += 1;
        if self.failures <= MAX_REOPENS {
            return None;
        }
        self.give_up();
        Some(error)
    }

    fn give_up(&mut self) {
        self.dropped += self.queue.len() as u64;
        self.queue.clear();
        self.writing.clear();
        self.needs_flush = false;
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        loop {
            match &mut self.state {
                State::Idle if !self.queue.is_empty() => {
                    self.state = State::Opening;
                    return Poll::Ready(Progress::Open);
                }
                State::Idle | State::Opening | State::Unsupported => return Poll::Pending,
                State::Open(_) => match self.poll_stream(cx) {
                    Poll::Pending => return Poll::Pending,
                    // Nothing was lost that we know of: reopen when there is a message.
                    Poll::Ready(Ok(())) => self.state = State::Idle,
                    Poll::Ready(Err(error)) => {
                        if let Some(error) = self.on_failure(error) {
                            return Poll::Ready(Progress::GaveUp(error));
                        }
                    }
                },
            }
        }
    }

    /// Writes the queue and then watches the stream. Ready if the peer has closed it while
    /// nothing was waiting, so that the next message opens a new one instead of being lost.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = self.poll_write(cx)?;
        let State::Open(stream) = &mut self.state else {
            return written.map(Ok);
        };
        match Pin::new(stream).poll_read(cx, &mut [0]) {
            Poll::Ready(Ok(0) | Err(_)) if written.is_ready() => Poll::Ready(Ok(())),
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Poll::Ready(Ok(_)) => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes the queue and flushes; ready when there is nothing left to do.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State::Open(stream) = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        let mut stream = Pin::new(stream);
        loop {
            if self.writing.is_empty() {
                let Some(message) = self.queue.front() else {
                    break;
                };
                self.writing.extend_from_slice(&frame_header(message.len()));
                self.writing.extend_from_slice(message);
            }
            let written = ready!(stream.as_mut().poll_write(cx, &self.writing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.writing.advance(written);
            self.needs_flush = true;
            if self.writing.is_empty() {
                self.writing = BytesMut::new();
                self.queue.pop_front();
            }
        }
        if self.needs_flush {
            ready!(stream.poll_flush(cx))?;
            self.needs_flush = false;
            self.failures = 0;
        }
        Poll::Ready(Ok(()))
    }
}
