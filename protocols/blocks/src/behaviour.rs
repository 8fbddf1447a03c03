//! Blocks in the Swarm.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p_core::transport::PortUse;
use libp2p_core::{Endpoint, Multiaddr};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use replicas::{Config, Directory, Placement};

use crate::{Blocks, Handle, Store};

/// Serves a store's blocks to peers and keeps their replicas complete.
pub struct Behaviour {
    inner: replicas::Behaviour<Blocks>,
}

impl Behaviour {
    /// Serves `store`; who keeps what is up to `placement`.
    ///
    /// # Panics
    /// Outside a tokio runtime, and when `config` is not valid for blocks (see
    /// [`Config::validate`]).
    pub fn new(config: Config, store: Arc<dyn Store>, placement: impl Placement) -> Behaviour {
        Behaviour::of(config, Blocks::new(store), placement)
    }

    /// Serves `blocks`.
    ///
    /// # Panics
    /// As [`Behaviour::new`].
    pub fn of(config: Config, blocks: Blocks, placement: impl Placement) -> Behaviour {
        Behaviour {
            inner: replicas::Behaviour::new(config, Arc::new(blocks), placement),
        }
    }

    /// Serves `blocks`; what is kept beyond this node's duty is published in `directory`
    /// (R17 to R20).
    ///
    /// # Panics
    /// As [`Behaviour::new`].
    pub fn with_copies(
        config: Config,
        blocks: Blocks,
        placement: impl Placement,
        directory: impl Directory,
    ) -> Behaviour {
        let blocks = Arc::new(blocks);
        Behaviour {
            inner: replicas::Behaviour::with_directory(config, blocks, placement, directory),
        }
    }

    /// What applications use.
    pub fn handle(&self) -> Handle {
        Handle::new(self.inner.handle())
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = <replicas::Behaviour<Blocks> as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner
            .on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}
