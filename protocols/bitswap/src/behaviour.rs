//! Opens streams for the tasks that write, and starts one for each stream a peer opens
//! (Z17, Z19). No bytes of a message pass here.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p_core::transport::PortUse;
use libp2p_core::{Endpoint, Multiaddr};
use libp2p_identity::PeerId;
use libp2p_swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, NotifyHandler, Stream,
    StreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::Config;
use crate::bounds::MAX_INBOUND_STREAMS;
use crate::client::Input;
use crate::driver;
use crate::handle::Handle;
use crate::receiver;
use crate::server::Source;
use crate::shared::{Open, Shared};

/// What is spoken with everybody who knows it.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.2.0");

/// What is spoken with the others.
pub const OLDER: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.1.0");

/// Requests for streams that wait for the Swarm task.
const OPEN_QUEUE: usize = 256;

/// What readers have found and the client has not taken in. Each may hold a block.
const EVENT_QUEUE: usize = 64;

type Opened = oneshot::Sender<Result<(Stream, StreamProtocol), String>>;

/// Gives the blocks of a [`Source`] to peers and gets theirs for its [`Handle`].
pub struct Behaviour {
    shared: Arc<Shared>,
    opens: mpsc::Receiver<Open>,
    connections: wire::Connections,
    /// Wanted streams whose peer is being dialled.
    dialling: HashMap<PeerId, Vec<Opened>>,
    /// Streams being opened on a connection.
    opening: HashMap<u64, (ConnectionId, Opened)>,
    next_id: u64,
    actions: VecDeque<ToSwarm<Infallible, wire::Command>>,
    /// The client's task; it ends with this behaviour.
    _tasks: JoinSet<()>,
}

impl Behaviour {
    /// Gives what `source` has.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(config: Config, source: Arc<dyn Source>) -> Behaviour {
        let (open, opens) = mpsc::channel(OPEN_QUEUE);
        let (events, queue) = mpsc::channel(EVENT_QUEUE);
        let shared = Arc::new(Shared::new(config, source, events, open));
        let mut tasks = JoinSet::new();
        tasks.spawn(driver::run(Arc::clone(&shared), queue));
        Behaviour {
            shared,
            opens,
            connections: wire::Connections::default(),
            dialling: HashMap::new(),
            opening: HashMap::new(),
            next_id: 0,
            actions: VecDeque::new(),
            _tasks: tasks,
        }
    }

    /// What applications use.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.shared))
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
            let _ = reply.send(Err(error.to_string()));
        }
    }

    fn on_disconnected(&mut self, id: PeerId) {
        let peer = self.shared.peer(id);
        peer.set_connected(false);
        self.shared.wants.lock().clear(id);
        let ended = "the connection ended".to_owned();
        self.shared.tell_later(Input::Failed(id, ended));
        self.shared.forget_idle(id);
    }

    fn on_inbound(&mut self, id: PeerId, stream: Stream) {
        let peer = self.shared.peer(id);
        // One reference is the peer's own (Z17).
        if Arc::strong_count(&peer.inbound) > MAX_INBOUND_STREAMS {
            self.shared.counters.bad_streams.add(1);
            return;
        }
        let (shared, serving) = (Arc::clone(&self.shared), Arc::clone(&peer.inbound));
        tokio::spawn(async move {
            receiver::run(shared, peer, stream).await;
            drop(serving);
        });
    }

    fn handler(&self) -> wire::Handler {
        wire::Handler::new(wire::HandlerConfig {
            messages: None,
            streams: Some(wire::StreamConfig {
                protocol: PROTOCOL,
                older: vec![OLDER],
                max_inbound: MAX_INBOUND_STREAMS,
            }),
            open_timeout: self.shared.config.open_timeout,
            // The sender's stream keeps the connection while it is needed.
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
                self.shared.peer(event.peer_id).set_connected(true);
                for reply in self.dialling.remove(&event.peer_id).unwrap_or_default() {
                    self.open_stream(event.peer_id, reply);
                }
            }
            FromSwarm::ConnectionClosed(event) => {
                // Dropping the reply tells the waiting task.
                self.opening
                    .retain(|_, (connection, _)| *connection != event.connection_id);
                if self.connections.remove(event.peer_id, event.connection_id) {
                    self.on_disconnected(event.peer_id);
                }
            }
            FromSwarm::DialFailure(event) => {
                if let Some(peer) = event.peer_id {
                    self.on_dial_failure(peer, event.error);
                }
            }
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
            wire::Event::StreamOpened {
                id,
                stream,
                protocol,
            } => {
                if let Some((_, reply)) = self.opening.remove(&id) {
                    let _ = reply.send(Ok((stream, protocol)));
                }
            }
            wire::Event::StreamFailed { id, error } => {
                if let Some((_, reply)) = self.opening.remove(&id) {
                    let _ = reply.send(Err(error.to_string()));
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
