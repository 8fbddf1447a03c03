//! The [`NetworkBehaviour`]: tells the links what we listen on, and the swarm
//! whom they heard.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p_core::transport::PortUse;
use libp2p_core::{Endpoint, Multiaddr};
use libp2p_identity::PeerId;
use libp2p_swarm::behaviour::FromSwarm;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, ListenAddresses, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::engine::Engine;
use crate::link::{Common, Notice};
use crate::packet::Names;
use crate::table::{Pairs, Table};
use crate::{Config, ConfigError};

/// Announcements that wait for the swarm's task. A full queue drops: peers
/// announce themselves again.
const NOTICES: usize = 256;

/// Notices handled in one poll, so that others get their turn.
const NOTICES_PER_POLL: usize = 64;

/// What the links found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Addresses that were not known before; each with its peer, without a
    /// `/p2p` part.
    Discovered(Vec<(PeerId, Multiaddr)>),
    /// Addresses that are no longer announced.
    Expired(Vec<(PeerId, Multiaddr)>),
}

/// Finds the peers on all links of this machine.
///
/// It announces what the swarm listens on, offers what it knows when a peer is
/// dialled, and dials no one by itself. Dropping it says goodbye on all links.
#[derive(Debug)]
pub struct Behaviour {
    listen: ListenAddresses,
    own: watch::Sender<Arc<[Multiaddr]>>,
    notices: mpsc::Receiver<Notice>,
    table: Table,
    expiry: Option<Pin<Box<Sleep>>>,
    pending: VecDeque<ToSwarm<Event, Infallible>>,
}

impl Behaviour {
    /// Starts the discovery for the peer `local`. Must be called inside a
    /// tokio runtime; panics elsewhere.
    pub fn new(config: Config, local: PeerId) -> Result<Behaviour, ConfigError> {
        let service = config.validate()?;
        let own = watch::Sender::new(Arc::default());
        let (findings, notices) = mpsc::channel(NOTICES);
        let common = Common {
            config: Arc::new(config),
            names: Arc::new(Names::random(service)),
            peer: local,
            own: own.subscribe(),
            findings,
        };
        tokio::spawn(Engine::new(common).run());
        Ok(Behaviour {
            listen: ListenAddresses::default(),
            own,
            notices,
            table: Table::default(),
            expiry: None,
            pending: VecDeque::new(),
        })
    }

    /// All that is known now: each peer with each of its addresses.
    pub fn discovered(&self) -> impl Iterator<Item = (&PeerId, &Multiaddr)> {
        self.table.iter()
    }

    fn on_notice(&mut self, notice: Notice) {
        let (new, gone) = match notice {
            Notice::Found(finding) => self.table.learn(Instant::now(), finding),
            Notice::InterfaceGone(index) => (Pairs::new(), self.table.interface_gone(index)),
        };
        self.report(new, gone);
    }

    fn report(&mut self, new: Pairs, gone: Pairs) {
        let addresses: Vec<_> = new
            .iter()
            .map(|(peer_id, address)| ToSwarm::NewExternalAddrOfPeer {
                peer_id: *peer_id,
                address: address.clone(),
            })
            .collect();
        if !new.is_empty() {
            tracing::debug!(?new, "discovered");
            self.pending
                .push_back(ToSwarm::GenerateEvent(Event::Discovered(new)));
        }
        self.pending.extend(addresses);
        if !gone.is_empty() {
            tracing::debug!(?gone, "expired");
            self.pending
                .push_back(ToSwarm::GenerateEvent(Event::Expired(gone)));
        }
    }

    /// Sets the timer to the next expiry; true if something has expired.
    fn poll_expiry(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(next) = self.table.next_expiry() else {
            self.expiry = None;
            return false;
        };
        let timer = self
            .expiry
            .get_or_insert_with(|| Box::pin(sleep_until(next)));
        if timer.deadline() != next {
            timer.as_mut().reset(next);
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        Ok(peer
            .map(|peer| self.table.addresses(&peer))
            .unwrap_or_default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if self.listen.on_swarm_event(&event) {
            self.own.send_replace(self.listen.iter().cloned().collect());
        }
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
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        let mut budget = NOTICES_PER_POLL;
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Poll::Ready(event);
            }
            if budget == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            budget -= 1;
            if let Poll::Ready(Some(notice)) = self.notices.poll_recv(cx) {
                self.on_notice(notice);
                continue;
            }
            if self.poll_expiry(cx) {
                let gone = self.table.expire(Instant::now());
                self.report(Pairs::new(), gone);
                continue;
            }
            return Poll::Pending;
        }
    }
}
