//! Opens streams for the tasks that move bytes, and starts one for each stream a peer
//! opens. No bytes of an item pass here.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p_core::transport::PortUse;
use libp2p_core::{Endpoint, Multiaddr};
use libp2p_identity::PeerId;
use libp2p_swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, NotifyHandler,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::budget::Budget;
use crate::collection::Collection;
use crate::config::{Config, MAX_INBOUND_STREAMS, MAX_KEEPING, MAX_REPAIRS};
use crate::copies::Copies;
use crate::directory::Directory;
use crate::duty::Duty;
use crate::handle::Handle;
use crate::placement::Placement;
use crate::pool::{Open, Pool};
use crate::shared::Shared;
use crate::stats::Counters;

/// Requests for streams that wait for the Swarm task.
const OPEN_QUEUE: usize = 256;

type Opened = oneshot::Sender<Result<(libp2p_swarm::Stream, wire::Outdone), String>>;

/// Serves a [`Collection`] to peers and carries its [`Handle`]'s requests.
pub struct Behaviour<C> {
    shared: Arc<Shared<C>>,
    opens: mpsc::Receiver<Open>,
    connections: wire::Connections,
    /// Wanted streams whose peer is being dialled.
    dialling: HashMap<PeerId, Vec<Opened>>,
    /// One clone for each stream of a peer that is being served.
    serving: HashMap<PeerId, Arc<()>>,
    /// Streams being opened on a connection.
    opening: HashMap<u64, (ConnectionId, Opened)>,
    next_id: u64,
    actions: VecDeque<ToSwarm<Infallible, wire::Command>>,
    /// The background tasks; they end with this behaviour.
    _tasks: JoinSet<()>,
}

impl<C: Collection> Behaviour<C> {
    /// Serves `collection`; who keeps what is up to `placement`.
    ///
    /// # Panics
    /// Outside a tokio runtime, and when `config` is not valid for the collection (see
    /// [`Config::validate`]).
    pub fn new(config: Config, collection: Arc<C>, placement: impl Placement) -> Behaviour<C> {
        Behaviour::build(config, collection, Arc::new(placement), None)
    }

    /// The same, and publishes in `directory` what it keeps beyond its duty, and looks there
    /// for copies that are nearer than the replicas (R17 to R20).
    ///
    /// # Panics
    /// As [`Behaviour::new`].
    pub fn with_directory(
        config: Config,
        collection: Arc<C>,
        placement: impl Placement,
        directory: impl Directory,
    ) -> Behaviour<C> {
        Behaviour::build(
            config,
            collection,
            Arc::new(placement),
            Some(Arc::new(directory)),
        )
    }

    fn build(
        config: Config,
        collection: Arc<C>,
        placement: Arc<dyn Placement>,
        directory: Option<Arc<dyn Directory>>,
    ) -> Behaviour<C> {
        config
            .validate(C::MAX_ITEM)
            .expect("whoever reads a configuration validates it");
        let (open, opens) = mpsc::channel(OPEN_QUEUE);
        let (repairs, repair_queue) = mpsc::channel(MAX_REPAIRS);
        let (keeping, keep_queue) = mpsc::channel(MAX_KEEPING);
        let copies = directory
            .filter(|_| config.published > 0)
            .map(|directory| Copies::new(C::PROTOCOL, directory, &config));
        let shared = Arc::new(Shared {
            pool: Pool::new(config.clone(), C::MAX_ITEM, open),
            counters: Counters::default(),
            inbound: Budget::new(config.inbound_bytes_per_peer, config.inbound_bytes),
            outbound: Budget::new(config.outbound_bytes_per_peer, config.outbound_bytes),
            fetching: Arc::new(Semaphore::new(config.fetch_bytes)),
            digesting: Semaphore::new(1),
            repairs,
            copies,
            duty: Duty::default(),
            keeping,
            collection,
            placement,
            config,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(crate::reconcile::run(Arc::clone(&shared)));
        tasks.spawn(crate::reconcile::follow_duty(Arc::clone(&shared)));
        tasks.spawn(crate::repair::run(Arc::clone(&shared), repair_queue));
        tasks.spawn(crate::keep::run(Arc::clone(&shared), keep_queue));
        Behaviour {
            shared,
            opens,
            connections: wire::Connections::default(),
            dialling: HashMap::new(),
            serving: HashMap::new(),
            opening: HashMap::new(),
            next_id: 0,
            actions: VecDeque::new(),
            _tasks: tasks,
        }
    }

    /// What applications use.
    pub fn handle(&self) -> Handle<C> {
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

    fn on_inbound(&mut self, peer: PeerId, stream: libp2p_swarm::Stream) {
        let serving = self.serving.entry(peer).or_default();
        // One reference is the map's own (R4).
        if Arc::strong_count(serving) > MAX_INBOUND_STREAMS {
            self.shared.counters.bad_streams.one();
            return;
        }
        let (serving, shared) = (Arc::clone(serving), Arc::clone(&self.shared));
        tokio::spawn(async move {
            crate::server::serve(shared, peer, stream).await;
            drop(serving);
        });
    }

    fn handler(&self) -> wire::Handler {
        wire::Handler::new(wire::HandlerConfig {
            messages: None,
            streams: Some(wire::StreamConfig {
                protocol: C::PROTOCOL,
                older: Vec::new(),
                max_inbound: MAX_INBOUND_STREAMS,
            }),
            open_timeout: self.shared.config.open_timeout,
            // Pooled streams keep the connection they need.
            keep_alive: false,
        })
    }
}

impl<C: Collection> NetworkBehaviour for Behaviour<C> {
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
                if self.connections.remove(event.peer_id, event.connection_id) {
                    self.serving.remove(&event.peer_id);
                }
                // Dropping the reply tells the waiting task.
                self.opening
                    .retain(|_, (connection, _)| *connection != event.connection_id);
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
            wire::Event::StreamOpened { id, stream, .. } => {
                if let Some((connection, reply)) = self.opening.remove(&id) {
                    let outdone = self.connections.outdone(&peer, connection);
                    let _ = reply.send(Ok((stream, outdone)));
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
