//! The one connection handler (W4 to W9).

use std::{
    collections::VecDeque,
    fmt, io,
    task::{Context, Poll},
};

use libp2p_swarm::{
    ConnectionHandler, ConnectionHandlerEvent, Stream, StreamProtocol, StreamUpgradeError,
    SubstreamProtocol,
    handler::{
        ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
        ProtocolsChange,
    },
};

use crate::{
    Command, Event, HandlerConfig, StreamConfig, StreamError,
    inbox::Inbox,
    outbox::{Outbox, Progress},
    upgrade::Upgrade,
};

/// How many raw streams of one connection may be waiting to be opened: above what any of
/// our pools asks for at a time, below what muxers allow to be open.
pub const MAX_PENDING_OPENS: usize = 128;

/// What an outbound stream is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Our message stream.
    Messages,
    /// The raw stream with this id.
    Raw(u64),
}

/// Serves one connection: messages on a long-lived stream per direction and raw streams,
/// as [`HandlerConfig`] says.
pub struct Handler {
    config: HandlerConfig,
    keep_alive: bool,
    outbox: Option<Outbox>,
    inbox: Inbox,
    /// Raw streams to ask for.
    wanted: VecDeque<u64>,
    /// Raw streams asked for and not yet decided.
    opening: usize,
    /// Raw streams of the peer the behaviour has not taken yet.
    accepted: VecDeque<Stream>,
    /// One event for each command and each failed stream, and so bounded by them.
    events: VecDeque<Event>,
}

type ToSwarm = ConnectionHandlerEvent<Upgrade, Purpose, Event>;

impl Handler {
    /// A handler for a new connection.
    pub fn new(config: HandlerConfig) -> Self {
        Self {
            keep_alive: config.keep_alive,
            outbox: config.messages.clone().map(Outbox::new),
            config,
            inbox: Inbox::default(),
            wanted: VecDeque::new(),
            opening: 0,
            accepted: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    fn request(&self, protocols: Vec<StreamProtocol>, purpose: Purpose) -> ToSwarm {
        ConnectionHandlerEvent::OutboundSubstreamRequest {
            protocol: SubstreamProtocol::new(Upgrade(protocols), purpose)
                .with_timeout(self.config.open_timeout),
        }
    }

    fn on_open_stream(&mut self, id: u64) {
        let error = if self.config.streams.is_none() {
            StreamError::NotConfigured
        } else if self.opening + self.wanted.len() >= MAX_PENDING_OPENS {
            StreamError::TooMany
        } else {
            self.wanted.push_back(id);
            return;
        };
        self.events.push_back(Event::StreamFailed { id, error });
    }

    fn on_inbound(&mut self, stream: Stream, protocol: &StreamProtocol) {
        if let Some(messages) = &self.config.messages
            && messages.protocol == *protocol
        {
            self.inbox.add(stream, messages.max_frame);
            return;
        }
        let room = self
            .config
            .streams
            .as_ref()
            .map_or(0, |streams| streams.max_inbound);
        // W8: dropping the stream resets it.
        if self.accepted.len() < room {
            self.accepted.push_back(stream);
        } else {
            tracing::debug!(%protocol, "inbound stream refused: too many are waiting");
        }
    }

    fn on_opened(&mut self, stream: Stream, protocol: StreamProtocol, purpose: Purpose) {
        match purpose {
            Purpose::Messages => {
                if let Some(outbox) = &mut self.outbox {
                    outbox.on_open(stream);
                }
            }
            Purpose::Raw(id) => {
                self.opening -= 1;
                self.events.push_back(Event::StreamOpened {
                    id,
                    stream,
                    protocol,
                });
            }
        }
    }

    fn on_open_failed(
        &mut self,
        error: StreamUpgradeError<std::convert::Infallible>,
        purpose: Purpose,
    ) {
        let error = match error {
            StreamUpgradeError::Timeout => StreamError::Timeout,
            StreamUpgradeError::NegotiationFailed => StreamError::Unsupported,
            StreamUpgradeError::Io(error) => StreamError::Io(error),
            StreamUpgradeError::Apply(never) => match never {},
        };
        match (purpose, &mut self.outbox) {
            (Purpose::Raw(id), _) => {
                self.opening -= 1;
                self.events.push_back(Event::StreamFailed { id, error });
            }
            (Purpose::Messages, Some(outbox)) if matches!(error, StreamError::Unsupported) => {
                outbox.on_unsupported();
                self.events.push_back(Event::MessagesUnsupported);
            }
            (Purpose::Messages, Some(outbox)) => {
                if let Some(error) = outbox.on_failure(io::Error::other(error)) {
                    self.events
                        .push_back(Event::MessagesFailed(error.to_string()));
                }
            }
            (Purpose::Messages, None) => {}
        }
    }

    fn poll_outbox(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm> {
        let Some(outbox) = &mut self.outbox else {
            return Poll::Pending;
        };
        let progress = outbox.poll(cx);
        // After writing, because a stream given up adds to the drops.
        let dropped = outbox.take_dropped();
        if dropped > 0 {
            self.events.push_back(Event::QueueFull { dropped });
        }
        let protocol = outbox.config.protocol.clone();
        match progress {
            Poll::Ready(Progress::Open) => {
                return Poll::Ready(self.request(vec![protocol], Purpose::Messages));
            }
            Poll::Ready(Progress::GaveUp(error)) => {
                self.events
                    .push_back(Event::MessagesFailed(error.to_string()));
            }
            Poll::Pending => {}
        }
        match self.events.pop_front() {
            Some(event) => Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event)),
            None => Poll::Pending,
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Command;
    type ToBehaviour = Event;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Purpose;

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        let messages = self
            .config
            .messages
            .iter()
            .map(|messages| messages.protocol.clone());
        let streams = self.config.streams.iter().flat_map(StreamConfig::protocols);
        SubstreamProtocol::new(Upgrade(messages.chain(streams).collect()), ())
            .with_timeout(self.config.open_timeout)
    }

    fn connection_keep_alive(&self) -> bool {
        self.keep_alive
            || !self.wanted.is_empty()
            || self.outbox.as_ref().is_some_and(Outbox::is_busy)
    }

    fn on_behaviour_event(&mut self, command: Command) {
        match command {
            Command::Send(message) => match &mut self.outbox {
                Some(outbox) => outbox.send(message),
                None => self.events.push_back(Event::MessagesUnsupported),
            },
            Command::OpenStream { id } => self.on_open_stream(id),
            Command::KeepAlive(keep_alive) => self.keep_alive = keep_alive,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade, (), Purpose>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                info: (),
            }) => self.on_inbound(stream, &protocol),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, protocol),
                info,
            }) => self.on_opened(stream, protocol, info),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                self.on_open_failed(error, info);
            }
            ConnectionEvent::RemoteProtocolsChange(ProtocolsChange::Added(mut added)) => {
                if let Some(outbox) = &mut self.outbox
                    && added.any(|protocol| *protocol == outbox.config.protocol)
                {
                    outbox.on_supported();
                }
            }
            // Addresses and other protocols do not concern us; a stream of the peer that
            // could not be negotiated is its loss.
            _ => {}
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        if let Some(id) = self.wanted.pop_front()
            && let Some(streams) = &self.config.streams
        {
            self.opening += 1;
            let protocols = streams.protocols().collect();
            return Poll::Ready(self.request(protocols, Purpose::Raw(id)));
        }
        if let Some(stream) = self.accepted.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Event::Inbound(
                stream,
            )));
        }
        // Our writing goes before the peer's messages: finish before taking on more.
        if let Poll::Ready(event) = self.poll_outbox(cx) {
            return Poll::Ready(event);
        }
        self.inbox.poll(cx).map(|message| {
            ConnectionHandlerEvent::NotifyBehaviour(match message {
                Ok(message) => Event::Received(message),
                Err(error) => Event::MessagesFailed(error.to_string()),
            })
        })
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler")
            .field("config", &self.config)
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}
