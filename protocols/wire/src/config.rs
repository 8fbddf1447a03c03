//! What a handler serves.

use std::time::Duration;

use libp2p_swarm::StreamProtocol;

/// Settings of a [`Handler`](crate::Handler). A protocol uses messages, streams or both;
/// with both, their protocol ids must differ.
#[derive(Clone, Debug)]
pub struct HandlerConfig {
    /// Small messages on one long-lived stream per direction.
    pub messages: Option<MessageConfig>,
    /// Raw streams, handed to the behaviour.
    pub streams: Option<StreamConfig>,
    /// How long opening a stream, with its negotiation, may take.
    pub open_timeout: Duration,
    /// Whether the connection is kept while nothing is open; changed by
    /// [`Command::KeepAlive`](crate::Command::KeepAlive).
    pub keep_alive: bool,
}

/// Settings for messages.
#[derive(Clone, Debug)]
pub struct MessageConfig {
    /// Protocol id of message streams.
    pub protocol: StreamProtocol,
    /// Longest message in bytes, both ways.
    pub max_frame: usize,
    /// How many messages may wait to be sent on a connection.
    pub queue: usize,
}

/// Settings for raw streams.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Protocol id of raw streams.
    pub protocol: StreamProtocol,
    /// Ids of older versions, accepted as well and offered where the peer does not speak
    /// the newest; most protocols have none.
    pub older: Vec<StreamProtocol>,
    /// How many streams the peer opened on this connection may wait for the behaviour to
    /// take them; further ones are reset. Streams that were taken are the behaviour's to
    /// bound, and the muxer's.
    pub max_inbound: usize,
}

impl StreamConfig {
    /// All versions, the newest first.
    pub(crate) fn protocols(&self) -> impl Iterator<Item = StreamProtocol> + '_ {
        std::iter::once(&self.protocol).chain(&self.older).cloned()
    }
}
