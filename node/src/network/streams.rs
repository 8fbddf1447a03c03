//! Raw streams of one protocol to any peer, for what needs no behaviour of its own:
//! pings on demand, and the baseline of `bench transfer`.

use std::{
    collections::{HashMap, VecDeque},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, DialFailure, FromSwarm, NetworkBehaviour, NotifyHandler,
        THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use tokio::sync::{mpsc, oneshot};
use wire::{Handler, HandlerConfig, StreamConfig};

use super::PingError;

/// Protocol of libp2p's ping.
pub const PING_PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");

/// Bytes of a ping, from its specification.
const PING_BYTES: usize = 32;

/// How long a stream's negotiation may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that wait for the swarm's task.
const REQUEST_QUEUE: usize = 64;

/// Inbound streams that wait to be accepted; further ones are dropped.
const INBOUND_QUEUE: usize = 16;

/// Why a stream could not be opened.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

type Reply = oneshot::Sender<Result<Stream, OpenError>>;

/// Asks for streams.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<(PeerId, Reply)>);

impl Handle {
    /// Opens a stream to `peer`, after a connection if there is none.
    pub async fn open(&self, peer: PeerId) -> Result<Stream, OpenError> {
        let (reply, answer) = oneshot::channel();
        let stopped = || OpenError("the node is stopping".to_owned());
        self.0.send((peer, reply)).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// Opens and accepts streams of one protocol.
pub struct Behaviour {
    config: HandlerConfig,
    requests: mpsc::Receiver<(PeerId, Reply)>,
    inbound: mpsc::Sender<(PeerId, Stream)>,
    connections: wire::Connections,
    /// Streams being negotiated, by the id their command carried.
    opening: HashMap<u64, (PeerId, ConnectionId, Reply)>,
    /// Requests for peers that are being dialled.
    dialling: HashMap<PeerId, Vec<Reply>>,
    actions: VecDeque<ToSwarm<std::convert::Infallible, wire::Command>>,
    next_id: u64,
}

impl Behaviour {
    /// A behaviour for `protocol` that accepts up to `max_inbound` streams at a time
    /// from a connection, with its handle and the streams it accepts.
    pub fn new(
        protocol: StreamProtocol,
        max_inbound: usize,
    ) -> (Self, Handle, mpsc::Receiver<(PeerId, Stream)>) {
        let (requests, receiver) = mpsc::channel(REQUEST_QUEUE);
        let (inbound, accepted) = mpsc::channel(INBOUND_QUEUE);
        let config = HandlerConfig {
            messages: None,
            streams: Some(StreamConfig {
                protocol,
                older: Vec::new(),
                max_inbound,
            }),
            open_timeout: OPEN_TIMEOUT,
            keep_alive: false,
        };
        let behaviour = Self {
            config,
            requests: receiver,
            inbound,
            connections: wire::Connections::default(),
            opening: HashMap::new(),
            dialling: HashMap::new(),
            actions: VecDeque::new(),
            next_id: 0,
        };
        (behaviour, Handle(requests), accepted)
    }

    fn open(&mut self, peer: PeerId, reply: Reply) {
        let Some(connection) = self.connections.oldest(&peer) else {
            if !self.dialling.contains_key(&peer) {
                let opts =
                    DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing);
                self.actions.push_back(ToSwarm::Dial { opts: opts.build() });
            }
            self.dialling.entry(peer).or_default().push(reply);
            return;
        };
        let id = self.next_id;
        self.next_id += 1;
        self.actions.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(connection),
            event: wire::Command::OpenStream { id },
        });
        self.opening.insert(id, (peer, connection, reply));
    }

    fn on_dial_failure(&mut self, failure: &DialFailure<'_>) {
        let Some(peer) = failure.peer_id else { return };
        // Another behaviour's dial is under way: its outcome decides.
        if matches!(
            failure.error,
            libp2p::swarm::DialError::DialPeerConditionFalse(_)
        ) {
            return;
        }
        for reply in self.dialling.remove(&peer).into_iter().flatten() {
            // Whoever asked may have given up waiting.
            let _ = reply.send(Err(OpenError(failure.error.to_string())));
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = std::convert::Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.config.clone()))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.config.clone()))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let peer = established.peer_id;
                self.connections
                    .add(peer, established.connection_id, established.endpoint);
                for reply in self.dialling.remove(&peer).into_iter().flatten() {
                    self.open(peer, reply);
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.connections
                    .remove(closed.peer_id, closed.connection_id);
                let lost: Vec<_> = self
                    .opening
                    .iter()
                    .filter(|(_, (_, connection, _))| *connection == closed.connection_id)
                    .map(|(id, _)| *id)
                    .collect();
                for id in lost {
                    if let Some((_, _, reply)) = self.opening.remove(&id) {
                        let _ = reply.send(Err(OpenError("the connection was lost".to_owned())));
                    }
                }
            }
            FromSwarm::DialFailure(failure) => self.on_dial_failure(&failure),
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {
            wire::Event::StreamOpened { id, stream, .. } => {
                if let Some((_, _, reply)) = self.opening.remove(&id) {
                    let _ = reply.send(Ok(stream));
                }
            }
            wire::Event::StreamFailed { id, error } => {
                if let Some((_, _, reply)) = self.opening.remove(&id) {
                    let _ = reply.send(Err(OpenError(error.to_string())));
                }
            }
            wire::Event::Inbound(stream) => {
                let handed_over = self.inbound.try_send((peer, stream));
                if handed_over.is_err() {
                    tracing::debug!(%peer, "inbound stream dropped: nobody accepts");
                }
            }
            // This behaviour sends no messages.
            _ => {}
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Poll::Ready(action);
            }
            match self.requests.poll_recv(cx) {
                Poll::Ready(Some((peer, reply))) => self.open(peer, reply),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// One round of libp2p's ping protocol on a fresh stream, whose negotiation is over.
///
/// One only: rust-libp2p answers a second ping on the same stream when something else
/// happens to wake its connection, which over QUIC can take seconds.
pub(crate) async fn ping(stream: &mut Stream) -> Result<Duration, PingError> {
    let broken = |error: std::io::Error| PingError::Unreachable(error.to_string());
    let payload: [u8; PING_BYTES] = rand::random();
    let mut answer = [0; PING_BYTES];
    let started = Instant::now();
    stream.write_all(&payload).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    stream.read_exact(&mut answer).await.map_err(broken)?;
    let elapsed = started.elapsed();
    if answer != payload {
        return Err(PingError::WrongAnswer);
    }
    // Errors on closing come after the measurement and change nothing about it.
    let _ = stream.close().await;
    Ok(elapsed)
}
