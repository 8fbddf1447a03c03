//! One socket: an interface in one family.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use rand::{RngExt, distr::Alphanumeric};
use tokio::{io::ReadBuf, net::UdpSocket};

use crate::{
    config::Config,
    links::Link,
    packet::{self, Found, Instance, MAX_PACKET, Packet, Service},
    schedule::{ANSWER_DELAY_MS, Due, Schedule},
    socket::{self, Family, PORT},
};

/// Most own addresses announced on an interface (M7).
pub const MAX_OWN_ADDRESSES: usize = 32;

/// Own queries remembered to tell them from those of other nodes of the
/// machine: they are looped back within milliseconds.
const OWN_QUERIES: usize = 8;

/// Length of an instance's random label: 32 to 63, as the specification has it.
const LABEL: std::ops::RangeInclusive<usize> = 32..=63;

/// Longest time to live in an answer by unicast, RFC 6762 section 6.7.
const UNICAST_TTL: u32 = 10;

/// What went through a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets received, our own included.
    pub received: u64,
    /// Received packets that were not read: malformed or beyond a bound.
    pub refused: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets the system did not take.
    pub send_failures: u64,
}

/// What all sockets need to know of the node.
pub(crate) struct Node {
    pub(crate) peer: PeerId,
    pub(crate) service: Service,
    pub(crate) config: Config,
}

impl Node {
    fn ttl(&self) -> u32 {
        u32::try_from(self.config.ttl.as_secs()).unwrap_or(u32::MAX)
    }
}

pub(crate) struct Interface {
    link: Link,
    source: IpAddr,
    group: SocketAddr,
    socket: UdpSocket,
    schedule: Schedule,
    addresses: Vec<Multiaddr>,
    instances: Vec<Instance>,
    own_queries: VecDeque<u16>,
    outbox: VecDeque<(Vec<u8>, SocketAddr)>,
    counters: Counters,
}

impl Interface {
    /// Opens the socket; `None` where the interface has no address of the family.
    ///
    /// # Errors
    ///
    /// The socket cannot be opened or cannot join.
    pub(crate) fn open(
        node: &Node,
        link: &Link,
        family: Family,
        now: Instant,
    ) -> io::Result<Option<Self>> {
        let Some(source) = family.source(link) else {
            return Ok(None);
        };
        Ok(Some(Self {
            source,
            group: socket::group(link, family),
            socket: socket::open(link, family, source)?,
            schedule: Schedule::new(now, &node.config),
            link: link.clone(),
            addresses: Vec::new(),
            instances: Vec::new(),
            own_queries: VecDeque::new(),
            outbox: VecDeque::new(),
            counters: Counters::default(),
        }))
    }

    /// Takes in how the interface looks now; `false` if the socket does not
    /// fit it any more: an IPv4 socket sends from one address of the interface.
    pub(crate) fn update(&mut self, link: &Link) -> bool {
        let fits = self.source.is_ipv6() || link.has(self.source);
        if fits && self.link != *link {
            self.link = link.clone();
        }
        fits
    }

    /// Sets the listen addresses to announce here; a change is told at once
    /// (M6), and what is gone is taken back (M9).
    pub(crate) fn announce(&mut self, node: &Node, listening: &[Multiaddr], now: Instant) {
        let mut addresses: Vec<Multiaddr> = listening
            .iter()
            .filter(|address| self.link.announces(address))
            .cloned()
            .collect();
        addresses.sort();
        addresses.truncate(MAX_OWN_ADDRESSES);
        if addresses == self.addresses {
            return;
        }
        let gone: Vec<Multiaddr> = self
            .addresses
            .iter()
            .filter(|address| !addresses.contains(address))
            .cloned()
            .collect();
        let goodbyes = self.instances.iter().filter_map(|instance| {
            instance
                .only(node.peer, &gone)?
                .response(&node.service, 0, 0, false)
        });
        // Waiting packets of the old addresses would bring them back.
        self.outbox.clear();
        self.outbox
            .extend(goodbyes.map(|packet| (packet, self.group)));
        // New labels: resolvers that know one do not look at it again (M2).
        self.instances = Instance::split(node.peer, &addresses, random_label);
        self.addresses = addresses;
        self.schedule.on_change(now);
    }

    /// Tells, if the socket takes it at once, that this node goes (M9).
    pub(crate) fn goodbye(&self, node: &Node) {
        for instance in &self.instances {
            if let Some(packet) = instance.response(&node.service, 0, 0, false) {
                // The node is going: nobody would try again.
                let _ = self.socket.try_send_to(&packet, self.group);
            }
        }
    }

    /// Sends what is due and reads one packet. `buffer` has room for one byte
    /// more than the longest packet, to tell longer ones.
    ///
    /// # Errors
    ///
    /// The socket is of no use any more.
    pub(crate) fn poll(
        &mut self,
        node: &Node,
        cx: &mut Context<'_>,
        now: Instant,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Vec<Found>>> {
        if let Err(error) = self.send(node, cx, now) {
            return Poll::Ready(Err(error));
        }
        let mut buffer = ReadBuf::new(buffer);
        match self.socket.poll_recv_from(cx, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(from)) => {
                self.counters.received += 1;
                Poll::Ready(Ok(self.on_packet(node, from, buffer.filled(), now)))
            }
            // A datagram sent earlier was refused: says nothing of this socket.
            Poll::Ready(Err(error)) if harmless(&error) => Poll::Ready(Ok(Vec::new())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }

    fn on_packet(
        &mut self,
        node: &Node,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Vec<Found> {
        match packet::read(&node.service, bytes) {
            Ok(Packet::Response(found)) => found,
            Ok(Packet::Query { id, service, meta }) => {
                let own = self.own_queries.contains(&id) && self.link.has(from.ip());
                if !own && !self.instances.is_empty() {
                    self.on_query(from, id, service, meta, now);
                }
                Vec::new()
            }
            Err(error) => {
                self.counters.refused += 1;
                tracing::trace!(%from, interface = %self.link.name, %error, "packet refused");
                Vec::new()
            }
        }
    }

    fn on_query(&mut self, from: SocketAddr, id: u16, service: bool, meta: bool, now: Instant) {
        let delay = Duration::from_millis(rand::random_range(ANSWER_DELAY_MS));
        if meta {
            self.schedule.on_meta_query(now, delay);
        }
        if !service {
            return;
        }
        // M5: rust-libp2p asks from a port it does not listen on, so others
        // than the mDNS port get both answers. No answers beyond the link.
        if from.port() != PORT && self.link.reaches(from.ip()) {
            self.schedule.on_legacy_query(now, delay, from, id);
        }
        self.schedule.on_query(now, delay);
    }

    fn send(&mut self, node: &Node, cx: &mut Context<'_>, now: Instant) -> io::Result<()> {
        loop {
            let Some((packet, to)) = self.outbox.front() else {
                let Some(due) = self.schedule.take_due(now, rand::random()) else {
                    return Ok(());
                };
                self.fill_outbox(node, due);
                continue;
            };
            let everybody = *to == self.group;
            match self.socket.poll_send_to(cx, packet, *to) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(_)) => {
                    self.counters.sent += 1;
                    self.outbox.pop_front();
                    if everybody {
                        self.schedule.on_sent();
                    }
                }
                Poll::Ready(Err(error)) if is_gone(&error) => return Err(error),
                Poll::Ready(Err(error)) => {
                    self.counters.send_failures += 1;
                    tracing::debug!(%to, interface = %self.link.name, %error, "packet not sent");
                    self.outbox.pop_front();
                    if everybody {
                        self.outbox.clear();
                        self.schedule.on_failure(now);
                    }
                }
            }
        }
    }

    fn fill_outbox(&mut self, node: &Node, due: Due) {
        let service = &node.service;
        match due {
            Due::Query => {
                let id = rand::random();
                if self.own_queries.len() == OWN_QUERIES {
                    self.own_queries.pop_front();
                }
                self.own_queries.push_back(id);
                let packet = packet::query(service, id).map(|packet| (packet, self.group));
                self.outbox.extend(packet);
            }
            Due::Services => {
                let packet = packet::services_response(service, node.ttl());
                self.outbox
                    .extend(packet.map(|packet| (packet, self.group)));
            }
            Due::Answer => self
                .outbox
                .extend(self.instances.iter().filter_map(|instance| {
                    let packet = instance.response(service, 0, node.ttl(), false)?;
                    Some((packet, self.group))
                })),
            Due::Unicast { to, id } => {
                let ttl = node.ttl().min(UNICAST_TTL);
                self.outbox.extend(
                    self.instances.iter().filter_map(|instance| {
                        Some((instance.response(service, id, ttl, true)?, to))
                    }),
                );
            }
        }
    }

    /// When [`Self::poll`] wants to be called, if not woken earlier; `None`
    /// while packets wait for the socket to take them.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.outbox.is_empty().then(|| self.schedule.deadline())
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }
}

/// A buffer to receive into.
pub(crate) fn buffer() -> Box<[u8]> {
    vec![0; MAX_PACKET + 1].into_boxed_slice()
}

fn random_label() -> String {
    let length = rand::random_range(LABEL);
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(length)
        .map(|byte| char::from(byte).to_ascii_lowercase())
        .collect()
}

fn harmless(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted
    )
}

/// Whether the socket's interface is gone for good. Other failures pass: an
/// IPv6 address may still be checked for duplicates, a route missing.
fn is_gone(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENODEV | Errno::ENXIO | Errno::EBADF))
}
