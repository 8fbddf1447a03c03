//! The message streams the peer opened (W6, W7).

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::AsyncRead;
use libp2p_swarm::Stream;

use crate::frame::{FrameDecoder, FrameError};

/// How many message streams of one connection are read. One is enough; the second lets
/// a peer that had to reopen its stream be heard before the old one has ended.
pub const MAX_INBOUND_MESSAGE_STREAMS: usize = 2;

/// How much is read at a time: several control messages, little memory a connection.
const READ_CHUNK: usize = 8 * 1024;

struct Source {
    stream: Stream,
    decoder: FrameDecoder,
}

impl Source {
    /// The next frame, `None` at the end of the stream.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, FrameError>> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Poll::Ready(Ok(Some(frame)));
            }
            let mut chunk = [0; READ_CHUNK];
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
            if read == 0 {
                return Poll::Ready(if self.decoder.is_partial() {
                    Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into())
                } else {
                    Ok(None)
                });
            }
            self.decoder.feed(&chunk[..read]);
        }
    }
}

#[derive(Default)]
pub(crate) struct Inbox {
    /// Oldest first.
    sources: VecDeque<Source>,
}

impl Inbox {
    /// Takes a stream the peer opened; the oldest gives way (W6).
    pub(crate) fn add(&mut self, mut stream: Stream, max_frame: usize) {
        // Whether an idle connection is worth keeping is the behaviour's decision.
        stream.ignore_for_keep_alive();
        if self.sources.len() == MAX_INBOUND_MESSAGE_STREAMS {
            self.sources.pop_front();
        }
        self.sources.push_back(Source {
            stream,
            decoder: FrameDecoder::new(max_frame),
        });
    }

    /// The next message of any stream. A stream that breaks the framing is dropped and
    /// its error returned; one that ends or is reset between frames just goes (W7).
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, FrameError>> {
        let mut index = 0;
        while index < self.sources.len() {
            let source = &mut self.sources[index];
            match source.poll_frame(cx) {
                Poll::Ready(Ok(Some(frame))) => return Poll::Ready(Ok(frame)),
                Poll::Ready(Ok(None)) => {
                    self.sources.remove(index);
                }
                Poll::Ready(Err(FrameError::Io(error))) => {
                    tracing::trace!(%error, "message stream of the peer ended");
                    self.sources.remove(index);
                }
                Poll::Ready(Err(error)) => {
                    self.sources.remove(index);
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => index += 1,
            }
        }
        Poll::Pending
    }
}
