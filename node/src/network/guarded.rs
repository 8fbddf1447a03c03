//! A behaviour of a library that others can bring to a panic ends alone.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, behaviour::toggle::Toggle,
    },
};

/// Runs a behaviour until it panics, and from then on is as one that is switched off.
///
/// All behaviours of a node run in one task: without this, a panic in one of them is the end of
/// the node's network. What has panicked is dropped and never looked at again, so nothing
/// half-changed is used. Its connection handlers run in tasks of their own and stay until their
/// connections close.
pub(crate) struct Guarded<B> {
    name: &'static str,
    inner: Toggle<B>,
}

impl<B> Guarded<B> {
    /// Nothing at all where `inner` is none. `name` is what the log calls it.
    pub(crate) fn new(name: &'static str, inner: Option<B>) -> Self {
        Self {
            name,
            inner: inner.into(),
        }
    }

    /// Whether it is there and runs.
    pub(crate) fn is_enabled(&self) -> bool {
        self.inner.is_enabled()
    }

    /// Does something with it; nothing where that ends in a panic.
    fn guard<T>(&mut self, work: impl FnOnce(&mut Toggle<B>) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| work(&mut self.inner))) {
            Ok(done) => Some(done),
            Err(panic) => {
                self.inner = None.into();
                let name = self.name;
                let fault = text(panic.as_ref());
                tracing::error!(name, fault, "switched off until the node is started again");
                None
            }
        }
    }
}

/// What a panic said.
fn text(panic: &(dyn Any + Send)) -> &str {
    let fixed = panic.downcast_ref::<&str>().copied();
    fixed
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it did not say why")
}

impl<B: NetworkBehaviour> NetworkBehaviour for Guarded<B> {
    type ConnectionHandler = <Toggle<B> as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.guard(|inner| inner.handle_pending_inbound_connection(connection, local, remote))
            .unwrap_or(Ok(()))
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let made = self.guard(|inner| {
            inner.handle_established_inbound_connection(connection, peer, local, remote)
        });
        // Switched off by then, it makes a handler that does nothing.
        made.unwrap_or_else(|| {
            let inner = &mut self.inner;
            inner.handle_established_inbound_connection(connection, peer, local, remote)
        })
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.guard(|inner| {
            inner.handle_pending_outbound_connection(connection, peer, addresses, role)
        })
        .unwrap_or_else(|| Ok(Vec::new()))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let made = self.guard(|inner| {
            inner.handle_established_outbound_connection(connection, peer, address, role, port)
        });
        made.unwrap_or_else(|| {
            let inner = &mut self.inner;
            inner.handle_established_outbound_connection(connection, peer, address, role, port)
        })
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.guard(|inner| inner.on_swarm_event(event));
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.guard(|inner| inner.on_connection_handler_event(peer, connection, event));
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.guard(|inner| inner.poll(context))
            .unwrap_or(Poll::Pending)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use libp2p::swarm::{NewExternalAddrCandidate, dummy};

    use super::*;

    /// Panics wherever it is told to.
    struct Faulty {
        at: &'static str,
    }

    impl Faulty {
        fn reach(&self, place: &str) {
            assert!(place != self.at, "a fault at {place}");
        }
    }

    impl NetworkBehaviour for Faulty {
        type ConnectionHandler = dummy::ConnectionHandler;
        type ToSwarm = std::convert::Infallible;

        fn handle_pending_inbound_connection(
            &mut self,
            _: ConnectionId,
            _: &Multiaddr,
            _: &Multiaddr,
        ) -> Result<(), ConnectionDenied> {
            self.reach("pending");
            Err(ConnectionDenied::new("it denies all"))
        }

        fn handle_established_inbound_connection(
            &mut self,
            _: ConnectionId,
            _: PeerId,
            _: &Multiaddr,
            _: &Multiaddr,
        ) -> Result<THandler<Self>, ConnectionDenied> {
            self.reach("established");
            Err(ConnectionDenied::new("it denies all"))
        }

        fn handle_established_outbound_connection(
            &mut self,
            _: ConnectionId,
            _: PeerId,
            _: &Multiaddr,
            _: Endpoint,
            _: PortUse,
        ) -> Result<THandler<Self>, ConnectionDenied> {
            self.reach("dialled");
            Err(ConnectionDenied::new("it denies all"))
        }

        fn on_swarm_event(&mut self, _: FromSwarm<'_>) {
            self.reach("swarm");
        }

        fn on_connection_handler_event(
            &mut self,
            _: PeerId,
            _: ConnectionId,
            event: THandlerOutEvent<Self>,
        ) {
            match event {}
        }

        fn poll(
            &mut self,
            _: &mut Context<'_>,
        ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
            self.reach("poll");
            Poll::Pending
        }
    }

    /// Everything that a swarm asks of a behaviour; whether it lets connections be.
    fn use_all(behaviour: &mut Guarded<Faulty>) -> [bool; 3] {
        let (connection, peer) = (ConnectionId::new_unchecked(1), PeerId::random());
        let address: Multiaddr = "/memory/1".parse().unwrap();
        let _ = behaviour.poll(&mut Context::from_waker(Waker::noop()));
        behaviour.on_swarm_event(FromSwarm::NewExternalAddrCandidate(
            NewExternalAddrCandidate { addr: &address },
        ));
        [
            behaviour
                .handle_pending_inbound_connection(connection, &address, &address)
                .is_ok(),
            behaviour
                .handle_established_inbound_connection(connection, peer, &address, &address)
                .is_ok(),
            behaviour
                .handle_established_outbound_connection(
                    connection,
                    peer,
                    &address,
                    Endpoint::Dialer,
                    PortUse::New,
                )
                .is_ok(),
        ]
    }

    #[test]
    fn what_panics_is_switched_off_and_no_more() {
        for at in ["poll", "swarm", "pending", "established", "dialled"] {
            let mut behaviour = Guarded::new("faulty", Some(Faulty { at }));
            use_all(&mut behaviour);
            assert!(!behaviour.is_enabled(), "{at}");
            assert_eq!(use_all(&mut behaviour), [true; 3], "{at}");
        }
    }

    #[test]
    fn what_does_not_panic_is_as_it_was() {
        let mut behaviour = Guarded::new("faulty", Some(Faulty { at: "nowhere" }));
        assert_eq!(use_all(&mut behaviour), [false; 3]);
        assert!(behaviour.is_enabled());
    }
}
