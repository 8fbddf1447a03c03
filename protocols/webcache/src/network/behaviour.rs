//! Opens streams for the tasks that ask, and starts one for each stream that a peer opens.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use libp2p_core::{Endpoint, Multiaddr, multiaddr::Protocol, transport::PortUse};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, NotifyHandler, Stream,
    StreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dial_opts::{DialOpts, PeerCondition},
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
};

use super::node::Node;

/// The web cache's protocol.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/hedgerow/webcache/1.0.0");

/// Requests for streams that wait for the Swarm task.
pub(super) const OPEN_QUEUE: usize = 256;

/// Streams of one peer that are served at a time, and of all.
const MAX_INBOUND_PER_PEER: usize = 64;
const MAX_INBOUND: usize = 1024;

/// How long opening a stream may take, with its negotiation.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no stream to a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoStream {
    /// It has no part in the web cache.
    #[error("it does not speak the web cache's protocol")]
    Unsupported,
    #[error("{0}")]
    Unreachable(String),
}

type Opened = oneshot::Sender<Result<Stream, NoStream>>;

/// Asks the Swarm task for a stream to a peer.
pub(super) struct Open {
    pub(super) peer: PeerId,
    pub(super) addrs: Vec<Multiaddr>,
    pub(super) reply: Opened,
}

/// Carries the questions and answers of the web cache. Its handle is [`crate::Peers`].
pub struct Behaviour {
    node: Arc<Node>,
    opens: mpsc::Receiver<Open>,
    connections: wire::Connections,
    /// Wanted streams whose peer is being dialled.
    dialling: HashMap<PeerId, Vec<Opened>>,
    /// Streams being opened on a connection.
    opening: HashMap<u64, (ConnectionId, Opened)>,
    /// One clone for each stream of a peer that is being served.
    serving: HashMap<PeerId, Arc<()>>,
    permits: Arc<Semaphore>,
    next_id: u64,
    actions: VecDeque<ToSwarm<Infallible, wire::Command>>,
    /// The background tasks; they end with this behaviour.
    _tasks: JoinSet<()>,
}

impl Behaviour {
    pub(super) fn new(node: Arc<Node>, opens: mpsc::Receiver<Open>) -> Behaviour {
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&node).keep_time());
        tasks.spawn(super::homes::follow(Arc::clone(&node)));
        Behaviour {
            node,
            opens,
            connections: wire::Connections::default(),
            dialling: HashMap::new(),
            opening: HashMap::new(),
            serving: HashMap::new(),
            permits: Arc::new(Semaphore::new(MAX_INBOUND)),
            next_id: 0,
            actions: VecDeque::new(),
            _tasks: tasks,
        }
    }

    fn on_open(&mut self, open: Open) {
        if open.reply.is_closed() {
            return;
        }
        if self.connections.contains(&open.peer) {
            self.open_stream(open.peer, open.reply);
            return;
        }
        let waiting = self.dialling.entry(open.peer).or_default();
        waiting.retain(|reply| !reply.is_closed());
        waiting.push(open.reply);
        let opts = DialOpts::peer_id(open.peer)
            .addresses(open.addrs)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .extend_addresses_through_behaviour()
            .build();
        self.actions.push_back(ToSwarm::Dial { opts });
    }

    fn open_stream(&mut self, peer: PeerId, reply: Opened) {
        let Some(connection) = self.connections.newest(&peer) else {
            return;
        };
        let id = self.next_id;
        self.next_id += 1;
        self.opening.insert(id, (connection, reply));
        self.actions.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(connection),
            event: wire::Command::OpenStream { id },
        });
    }

    fn on_dial_failure(&mut self, peer: PeerId, error: &DialError) {
        // Somebody else is dialling it or just did: that attempt decides.
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            return;
        }
        for reply in self.dialling.remove(&peer).unwrap_or_default() {
            let _ = reply.send(Err(NoStream::Unreachable(error.to_string())));
        }
    }

    fn on_inbound(&mut self, peer: PeerId, stream: Stream) {
        let serving = self.serving.entry(peer).or_default();
        // One reference is the map's own. Dropping the stream resets it.
        if Arc::strong_count(serving) > MAX_INBOUND_PER_PEER {
            return;
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return;
        };
        let (serving, node) = (Arc::clone(serving), Arc::clone(&self.node));
        tokio::spawn(async move {
            super::serve::serve(node, peer, stream).await;
            drop((serving, permit));
        });
    }

    /// Where others see this node nothing is fetched for them (Q36).
    fn on_seen_at(&self, addr: &Multiaddr) {
        let address = addr.iter().find_map(|part| match part {
            Protocol::Ip4(address) => Some(IpAddr::V4(address)),
            Protocol::Ip6(address) => Some(IpAddr::V6(address)),
            _ => None,
        });
        if let Some(address) = address {
            self.node.keeper.networks.is_seen_at(address);
        }
    }

    fn handler(&self) -> wire::Handler {
        wire::Handler::new(wire::HandlerConfig {
            messages: None,
            streams: Some(wire::StreamConfig {
                protocol: PROTOCOL,
                older: Vec::new(),
                max_inbound: MAX_INBOUND_PER_PEER,
            }),
            open_timeout: OPEN_TIMEOUT,
            // Streams under way keep the connection they need.
            keep_alive: false,
        })
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = wire::Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                self.connections
                    .add(event.peer_id, event.connection_id, event.endpoint);
                for reply in self.dialling.remove(&event.peer_id).unwrap_or_default() {
                    self.open_stream(event.peer_id, reply);
                }
            }
            FromSwarm::ConnectionClosed(event) => {
                self.connections.remove(event.peer_id, event.connection_id);
                // Who comes back has its old streams counted as long as they are served.
                let connections = &self.connections;
                self.serving.retain(|peer, serving| {
                    connections.contains(peer) || Arc::strong_count(serving) > 1
                });
                // Dropping the reply tells the waiting task.
                self.opening
                    .retain(|_, (connection, _)| *connection != event.connection_id);
            }
            FromSwarm::DialFailure(event) => {
                if let Some(peer) = event.peer_id {
                    self.on_dial_failure(peer, event.error);
                }
            }
            FromSwarm::NewExternalAddrCandidate(event) => self.on_seen_at(event.addr),
            FromSwarm::ExternalAddrConfirmed(event) => self.on_seen_at(event.addr),
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
                if let Some((_, reply)) = self.opening.remove(&id) {
                    let _ = reply.send(Ok(stream));
                }
            }
            wire::Event::StreamFailed { id, error } => {
                if let Some((_, reply)) = self.opening.remove(&id) {
                    let why = match error {
                        wire::StreamError::Unsupported => NoStream::Unsupported,
                        error => NoStream::Unreachable(error.to_string()),
                    };
                    let _ = reply.send(Err(why));
                }
            }
            wire::Event::Inbound(stream) => self.on_inbound(peer, stream),
            // No messages are configured.
            wire::Event::Received(_)
            | wire::Event::QueueFull { .. }
            | wire::Event::MessagesUnsupported
            | wire::Event::MessagesFailed(_) => {}
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
            match self.opens.poll_recv(cx) {
                Poll::Ready(Some(open)) => self.on_open(open),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}
