//! The NetworkBehaviour: what the swarm reports becomes inputs (O5, O6, O11).

use std::task::{Context, Poll};

use libp2p_core::{Endpoint, Multiaddr, transport::PortUse};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use overlay_core::Input;

use crate::{Behaviour, Event, outputs};

/// Commands taken per poll, so that messages and timers get their turn.
const COMMANDS_PER_POLL: usize = 64;

/// Why a connection is denied.
#[derive(Debug, thiserror::Error)]
#[error("the peer broke the rules of the overlay and is refused for a while")]
pub(crate) struct PeerRefused;

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = wire::Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.wire_handler(&peer)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let Some(peer) = peer else {
            return Ok(Vec::new());
        };
        if self.refused.contains(&peer) {
            return Err(ConnectionDenied::new(PeerRefused));
        }
        let snapshot = self.handle.snapshot();
        let known = outputs::contacts(&snapshot).find(|contact| contact.peer == peer);
        Ok(known
            .map(|contact| contact.addrs.clone())
            .unwrap_or_default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.wire_handler(&peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if self.listen.on_swarm_event(&event) | self.external.on_swarm_event(&event) {
            self.on_addresses();
        }
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                self.links
                    .on_established(event.peer_id, event.connection_id, event.endpoint);
            }
            FromSwarm::ConnectionClosed(event) => {
                let peer = event.peer_id;
                if self.links.on_closed(peer, event.connection_id) {
                    self.refused.on_disconnected(&peer);
                    self.links.confirm(peer);
                }
            }
            FromSwarm::DialFailure(event) => {
                if let Some(peer) = event.peer_id
                    && self
                        .links
                        .on_dial_failure(peer, event.connection_id, event.error)
                {
                    self.counters.dials_failed += 1;
                    self.input(Input::PeerGone(peer));
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
            wire::Event::Received(bytes) => {
                if !self.refused.contains(&peer) {
                    self.on_message(peer, &bytes);
                }
            }
            wire::Event::QueueFull { dropped } => self.counters.dropped += dropped,
            wire::Event::MessagesUnsupported => self.input(Input::PeerGone(peer)),
            wire::Event::MessagesFailed(why) => {
                tracing::debug!(%peer, why, "message stream failed");
                self.on_garbage(peer);
            }
            // No raw streams are configured.
            wire::Event::StreamOpened { .. }
            | wire::Event::StreamFailed { .. }
            | wire::Event::Inbound(_) => {}
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        let mut budget = COMMANDS_PER_POLL;
        loop {
            // What is decided goes out before new work comes in.
            if let Some(action) = self.pop_action() {
                return Poll::Ready(action);
            }
            for done in self.leaving.drain(..) {
                let _ = done.send(());
            }
            if self.poll_timers(cx).is_ready() {
                self.on_timers();
                continue;
            }
            if budget == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.on_command(command),
                // A handle of ours keeps the channel open.
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
            budget -= 1;
        }
    }
}
