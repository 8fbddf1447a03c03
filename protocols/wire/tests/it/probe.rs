//! A behaviour that passes commands and events through.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p_core::{Endpoint, Multiaddr, transport::PortUse};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, StreamProtocol,
    Swarm, SwarmEvent, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p_swarm_test::SwarmExt as _;
use wire::{Command, Event, Handler, HandlerConfig, MessageConfig, StreamConfig};

pub(crate) const MESSAGES: StreamProtocol = StreamProtocol::new("/test/messages/1.0.0");
pub(crate) const STREAMS: StreamProtocol = StreamProtocol::new("/test/streams/1.0.0");
pub(crate) const MAX_FRAME: usize = 1024;
pub(crate) const QUEUE: usize = 4;

pub(crate) struct Probe {
    config: HandlerConfig,
    actions: VecDeque<ToSwarm<Event, Command>>,
}

/// Messages and streams, with the bounds above.
pub(crate) fn both() -> HandlerConfig {
    HandlerConfig {
        messages: Some(MessageConfig {
            protocol: MESSAGES,
            max_frame: MAX_FRAME,
            queue: QUEUE,
        }),
        streams: Some(StreamConfig {
            protocol: STREAMS,
            older: Vec::new(),
            max_inbound: 2,
        }),
        open_timeout: Duration::from_secs(5),
        keep_alive: true,
    }
}

/// Only raw streams, of any protocol: for peers that misbehave.
pub(crate) fn raw(protocol: StreamProtocol) -> HandlerConfig {
    HandlerConfig {
        messages: None,
        streams: Some(StreamConfig {
            protocol,
            older: Vec::new(),
            max_inbound: 8,
        }),
        open_timeout: Duration::from_secs(5),
        keep_alive: true,
    }
}

pub(crate) struct Node {
    pub(crate) swarm: Swarm<Probe>,
    pub(crate) peer: PeerId,
    /// Events that came while the other node was watched.
    unseen: VecDeque<Event>,
}

impl Node {
    pub(crate) fn new(config: HandlerConfig) -> Self {
        let swarm = Swarm::new_ephemeral_tokio(|_| Probe {
            config,
            actions: VecDeque::new(),
        });
        let peer = *swarm.local_peer_id();
        Self {
            swarm,
            peer,
            unseen: VecDeque::new(),
        }
    }

    pub(crate) fn command(&mut self, to: PeerId, command: Command) {
        self.swarm
            .behaviour_mut()
            .actions
            .push_back(ToSwarm::NotifyHandler {
                peer_id: to,
                handler: NotifyHandler::Any,
                event: command,
            });
    }

    pub(crate) fn send(&mut self, to: PeerId, message: &'static [u8]) {
        self.command(to, Command::Send(Bytes::from_static(message)));
    }
}

pub(crate) async fn connected(a: HandlerConfig, b: HandlerConfig) -> (Node, Node) {
    let (mut a, mut b) = (Node::new(a), Node::new(b));
    b.swarm.listen().with_memory_addr_external().await;
    a.swarm.connect(&mut b.swarm).await;
    (a, b)
}

/// Drives both until the predicate is satisfied by an event of `watched`.
pub(crate) async fn wait<T>(
    watched: &mut Node,
    other: &mut Node,
    mut predicate: impl FnMut(Event) -> Option<T>,
) -> T {
    let search = async {
        loop {
            while let Some(event) = watched.unseen.pop_front() {
                if let Some(found) = predicate(event) {
                    return found;
                }
            }
            drive_once(watched, other).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), search)
        .await
        .expect("the event comes in time")
}

/// Drives both while `work` is done.
pub(crate) async fn during<T>(a: &mut Node, b: &mut Node, work: impl Future<Output = T>) -> T {
    let drive = async {
        loop {
            drive_once(a, b).await;
        }
    };
    tokio::select! {
        done = work => done,
        never = drive => never,
    }
}

async fn drive_once(a: &mut Node, b: &mut Node) {
    tokio::select! {
        event = a.swarm.select_next_some() => {
            if let SwarmEvent::Behaviour(event) = event {
                a.unseen.push_back(event);
            }
        }
        event = b.swarm.select_next_some() => {
            if let SwarmEvent::Behaviour(event) = event {
                b.unseen.push_back(event);
            }
        }
    }
}

impl NetworkBehaviour for Probe {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

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

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.actions.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
