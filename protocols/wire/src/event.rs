//! What a behaviour tells its handlers, and what they report.

use std::io;

use bytes::Bytes;
use libp2p_swarm::{Stream, StreamProtocol};

/// From the behaviour to the handler of one connection.
#[derive(Clone, Debug)]
pub enum Command {
    /// Send a message. If the queue is full it is dropped and counted.
    Send(Bytes),
    /// Open a raw stream. Answered by `StreamOpened` or `StreamFailed` with the same
    /// `id`; if the connection closes first, by nothing.
    OpenStream {
        /// Chosen by the behaviour.
        id: u64,
    },
    /// Keep the connection while it is idle, or stop keeping it.
    KeepAlive(bool),
}

/// From the handler of one connection to the behaviour.
#[derive(Debug)]
pub enum Event {
    /// A message came.
    Received(Bytes),
    /// Messages were dropped because the queue was full, or because the stream they
    /// waited for could not be opened.
    QueueFull {
        /// How many since the last report.
        dropped: u64,
    },
    /// A raw stream is open.
    StreamOpened {
        /// The id of the command.
        id: u64,
        /// The stream, negotiated and without a byte read or written.
        stream: Stream,
        /// The version agreed on.
        protocol: StreamProtocol,
    },
    /// A raw stream could not be opened.
    StreamFailed {
        /// The id of the command.
        id: u64,
        /// Why.
        error: StreamError,
    },
    /// The peer opened a raw stream.
    Inbound(Stream),
    /// The peer does not speak the message protocol; the messages waiting for it were
    /// dropped, and so are later ones until the peer announces the protocol.
    MessagesUnsupported,
    /// A message stream failed: the peer broke the framing, or the outbound stream could
    /// not be kept open. Inbound streams of the peer that still work are kept.
    MessagesFailed(String),
}

/// Why a raw stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The peer does not speak the protocol.
    #[error("the peer does not support the protocol")]
    Unsupported,
    /// It took longer than `open_timeout`.
    #[error("opening the stream timed out")]
    Timeout,
    /// Too many streams of this connection are waiting to be opened, see
    /// [`MAX_PENDING_OPENS`](crate::MAX_PENDING_OPENS).
    #[error("too many streams are waiting to be opened")]
    TooMany,
    /// The handler was made without raw streams.
    #[error("this protocol has no raw streams")]
    NotConfigured,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
