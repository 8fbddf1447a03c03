//! A peer that speaks whatever a test writes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p_core::transport::PortUse;
use libp2p_core::{Endpoint, Multiaddr};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, Stream, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use replicas::Collection;
use tokio::sync::mpsc;

use crate::map::Map;

/// Opens a stream on each connection, and hands out all streams.
pub(crate) struct Raw {
    streams: mpsc::UnboundedSender<Stream>,
    actions: VecDeque<ToSwarm<Infallible, wire::Command>>,
    opens: bool,
}

impl Raw {
    /// With `opens` it opens streams itself; without, it takes what peers open.
    pub(crate) fn new(opens: bool) -> (Raw, mpsc::UnboundedReceiver<Stream>) {
        let (streams, received) = mpsc::unbounded_channel();
        let raw = Raw {
            streams,
            actions: VecDeque::new(),
            opens,
        };
        (raw, received)
    }

    fn handler() -> wire::Handler {
        wire::Handler::new(wire::HandlerConfig {
            messages: None,
            streams: Some(wire::StreamConfig {
                protocol: Map::PROTOCOL,
                older: Vec::new(),
                max_inbound: 16,
            }),
            open_timeout: Duration::from_secs(5),
            keep_alive: true,
        })
    }
}

impl NetworkBehaviour for Raw {
    type ConnectionHandler = wire::Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Raw::handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Raw::handler())
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let (FromSwarm::ConnectionEstablished(event), true) = (event, self.opens) {
            self.actions.push_back(ToSwarm::NotifyHandler {
                peer_id: event.peer_id,
                handler: NotifyHandler::One(event.connection_id),
                event: wire::Command::OpenStream { id: 0 },
            });
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if let wire::Event::StreamOpened { stream, .. } | wire::Event::Inbound(stream) = event {
            let _ = self.streams.send(stream);
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.actions.pop_front() {
            Some(action) => Poll::Ready(action),
            None => Poll::Pending,
        }
    }
}
