//! The behaviour: keeps a socket for each interface and family, and a table of
//! what they heard.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use libp2p_core::{Endpoint, Multiaddr, transport::PortUse};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, ListenAddresses, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use tokio::time::Sleep;

use crate::{
    backoff::Backoff,
    config::{Config, ConfigError, MAX_TTL},
    interface::{self, Counters, Interface, Node},
    known::{Heard, Known},
    links::{self, Link},
    packet::Found,
    socket::Family,
    watch::Watch,
};

/// Packets read in one poll, before others of the swarm get their turn.
const PACKETS_PER_POLL: usize = 64;

/// Waits until a socket that failed is opened again (M8).
const REOPEN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// What discovery reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Peers announced these addresses: for the first time, or again after
    /// [`Config::report_again`]. The addresses do not end in the peer's id.
    Discovered(Vec<(PeerId, Multiaddr)>),
    /// Addresses were taken back, or not heard of for their time to live.
    Expired(Vec<(PeerId, Multiaddr)>),
}

/// One socket as [`Behaviour::sockets`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketInfo {
    /// Name of the interface.
    pub interface: String,
    /// Index of the interface.
    pub index: u32,
    /// IP version.
    pub family: Family,
    /// What went through it since it was opened.
    pub counters: Counters,
}

/// A place for a socket, whether it is open or has failed.
struct Slot {
    interface: Option<Interface>,
    reopen: Backoff,
    reopen_at: Instant,
}

/// Discovery by multicast DNS on all interfaces.
///
/// Must be polled in a Tokio runtime with I/O and time; it opens its sockets
/// when it is polled first.
pub struct Behaviour {
    node: Node,
    listening: ListenAddresses,
    stale: bool,
    known: Known,
    watch: Watch,
    links: Vec<Link>,
    slots: BTreeMap<(u32, Family), Slot>,
    events: VecDeque<Event>,
    timer: Option<Pin<Box<Sleep>>>,
    buffer: Box<[u8]>,
    refused_addresses: u64,
}

impl Behaviour {
    /// Discovery for the node `peer`. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// A setting that cannot be used.
    pub fn new(config: Config, peer: PeerId) -> Result<Self, ConfigError> {
        let service = config.service()?;
        Ok(Self {
            known: Known::new(config.report_again),
            node: Node {
                peer,
                service,
                config,
            },
            listening: ListenAddresses::default(),
            stale: false,
            watch: Watch::new(Instant::now()),
            links: Vec::new(),
            slots: BTreeMap::new(),
            events: VecDeque::new(),
            timer: None,
            buffer: interface::buffer(),
            refused_addresses: 0,
        })
    }

    /// All addresses learnt and not expired.
    pub fn discovered(&self) -> impl Iterator<Item = (&PeerId, &Multiaddr)> {
        self.known.iter()
    }

    /// The open sockets.
    pub fn sockets(&self) -> impl Iterator<Item = SocketInfo> + '_ {
        self.slots.iter().filter_map(|((index, family), slot)| {
            let interface = slot.interface.as_ref()?;
            Some(SocketInfo {
                interface: interface.link().name.clone(),
                index: *index,
                family: *family,
                counters: interface.counters(),
            })
        })
    }

    /// Addresses heard for which there was no room.
    pub fn refused_addresses(&self) -> u64 {
        self.refused_addresses
    }

    /// Looks at the interfaces (M1) and closes the sockets of those gone.
    fn scan(&mut self, now: Instant) {
        match links::list(self.node.config.loopback) {
            Ok(links) => self.links = links,
            // What is open stays open; the next look is soon.
            Err(error) => {
                tracing::warn!(%error, "interfaces cannot be listed");
                return;
            }
        }
        let links = &self.links;
        self.slots.retain(|(index, family), slot| {
            let Some(link) = links.iter().find(|link| link.index == *index) else {
                return false;
            };
            if let Some(interface) = &mut slot.interface
                && !interface.update(link)
            {
                slot.interface = None;
                slot.reopen_at = now;
            }
            family.source(link).is_some()
        });
        for link in links {
            for family in [Family::V4, Family::V6] {
                if family.source(link).is_some() {
                    self.slots
                        .entry((link.index, family))
                        .or_insert_with(|| Slot {
                            interface: None,
                            reopen: Backoff::new(REOPEN.0, REOPEN.1),
                            reopen_at: now,
                        });
                }
            }
        }
        self.stale = true;
    }

    /// Opens the sockets that are wanted and not waiting (M8).
    fn open(&mut self, now: Instant) {
        for ((index, family), slot) in &mut self.slots {
            if slot.interface.is_some() || slot.reopen_at > now {
                continue;
            }
            let Some(link) = self.links.iter().find(|link| link.index == *index) else {
                continue;
            };
            match Interface::open(&self.node, link, *family, now) {
                Ok(interface) => {
                    tracing::debug!(interface = %link.name, ?family, "mDNS socket opened");
                    slot.interface = interface;
                    // Opened without an address, which a scan excludes, the
                    // slot would be tried with every poll.
                    slot.reopen_at = now + REOPEN.0;
                    self.stale = true;
                }
                Err(error) => slot.on_failure(&link.name, *family, now, &error),
            }
        }
    }

    /// Gives each socket the listen addresses to announce (M7).
    fn announce(&mut self, now: Instant) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let listening: Vec<Multiaddr> = self.listening.iter().cloned().collect();
        for slot in self.slots.values_mut() {
            if let Some(interface) = &mut slot.interface {
                interface.announce(&self.node, &listening, now);
            }
        }
    }

    /// Lets all sockets send, and reads at most `budget` packets.
    fn poll_sockets(&mut self, cx: &mut Context<'_>, now: Instant, budget: &mut usize) {
        let mut heard = Vec::new();
        for ((_, family), slot) in &mut self.slots {
            while let Some(interface) = &mut slot.interface {
                match interface.poll(&self.node, cx, now, &mut self.buffer) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(found)) => {
                        slot.reopen.reset();
                        for found in found {
                            heard.push((interface.link().clone(), found));
                        }
                    }
                    Poll::Ready(Err(error)) => {
                        let name = interface.link().name.clone();
                        slot.on_failure(&name, *family, now, &error);
                    }
                }
                *budget = budget.saturating_sub(1);
                if *budget == 0 {
                    break;
                }
            }
        }
        self.on_heard(heard, now);
    }

    fn on_heard(&mut self, heard: Vec<(Link, Found)>, now: Instant) {
        let mut discovered = Vec::new();
        let mut expired = Vec::new();
        for (link, found) in heard {
            if found.peer == self.node.peer {
                continue;
            }
            let ttl = Duration::from_secs(found.ttl.into()).min(MAX_TTL);
            for address in found.addresses {
                if !link.learns(&address) {
                    continue;
                }
                if ttl.is_zero() {
                    if self.known.forget(&found.peer, &address) {
                        let gone = (found.peer, address);
                        // Announced and taken back at once: the events go out
                        // with the expired ones first.
                        discovered.retain(|entry| *entry != gone);
                        expired.push(gone);
                    }
                    continue;
                }
                match self.known.hear(now, found.peer, address.clone(), ttl) {
                    Heard::Report => discovered.push((found.peer, address)),
                    Heard::Refreshed => {}
                    Heard::Full => self.refused_addresses += 1,
                }
            }
        }
        expired.extend(self.known.expire(now));
        if !expired.is_empty() {
            self.events.push_back(Event::Expired(expired));
        }
        if !discovered.is_empty() {
            self.events.push_back(Event::Discovered(discovered));
        }
    }

    fn deadline(&self) -> Instant {
        let sockets = self
            .slots
            .values()
            .filter_map(|slot| match &slot.interface {
                Some(interface) => interface.deadline(),
                None => Some(slot.reopen_at),
            });
        sockets
            .chain(self.known.next_expiry())
            .fold(self.watch.deadline(), Instant::min)
    }

    /// Whether the time to poll again has come already; else the task is woken
    /// then.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = self.deadline().into();
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

impl Slot {
    fn on_failure(&mut self, name: &str, family: Family, now: Instant, error: &std::io::Error) {
        let wait = self.reopen.step();
        tracing::warn!(interface = %name, ?family, %error, ?wait, "mDNS socket failed");
        self.interface = None;
        self.reopen_at = now + wait;
    }
}

impl Drop for Behaviour {
    fn drop(&mut self) {
        for slot in self.slots.values() {
            if let Some(interface) = &slot.interface {
                interface.goodbye(&self.node);
            }
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Event;

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        Ok(peer
            .map(|peer| self.known.addresses(&peer))
            .unwrap_or_default())
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
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
        self.stale |= self.listening.on_swarm_event(&event);
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        libp2p_core::util::unreachable(event)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        if tokio::runtime::Handle::try_current().is_err() {
            tracing::error!("mDNS is polled outside of a Tokio runtime and does nothing");
            return Poll::Pending;
        }
        let mut budget = PACKETS_PER_POLL;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(ToSwarm::GenerateEvent(event));
            }
            let now = Instant::now();
            if self.watch.poll(cx, now) {
                self.scan(now);
            }
            self.open(now);
            self.announce(now);
            self.poll_sockets(cx, now, &mut budget);
            if !self.events.is_empty() {
                continue;
            }
            if budget == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !self.poll_timer(cx) {
                return Poll::Pending;
            }
            budget -= 1;
        }
    }
}
