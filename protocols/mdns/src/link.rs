//! One link: an interface and a family, with its socket, its queries and its
//! answers. Runs as a task until the interface or the behaviour is gone.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use rand::RngExt;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::Config;
use crate::address::{advertised, believable};
use crate::backoff::Backoff;
use crate::interfaces::{Family, Interface};
use crate::packet::{self, Answer, MAX_PACKET, Names, Received};
use crate::socket::{self, PORT};
use crate::table::Finding;

/// Delay of an answer, milliseconds: random, so that the peers that heard the
/// same query do not answer all at once (RFC 6762, section 6), and short, so
/// that a newcomer is found in a third of a second (**M7**).
const ANSWER_DELAY_MS: std::ops::RangeInclusive<u64> = 20..=120;

/// Least time between two answers on a link: who asks more often hears the
/// same answer as the others. Bounds what a flood of queries makes us send.
const ANSWER_GAP: Duration = Duration::from_millis(150);

/// A change of our addresses is told again after this, in case the first
/// packet was lost.
const REPEAT: Duration = Duration::from_secs(1);

/// First and longest wait after a packet could not be sent. An IPv6 address is
/// tentative for a second or two after its interface came up, and nothing
/// tells us when that ends (**M4**).
const SEND_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Packets read in a second; the rest of a flood is dropped unread (**M10**).
const PACKETS_PER_SECOND: u32 = 500;

/// What all links of a behaviour share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) config: Arc<Config>,
    pub(crate) names: Arc<Names>,
    pub(crate) peer: PeerId,
    pub(crate) own: watch::Receiver<Arc<[Multiaddr]>>,
    pub(crate) findings: mpsc::Sender<Notice>,
}

/// What a link or the engine tells the behaviour.
#[derive(Debug)]
pub(crate) enum Notice {
    Found(Finding),
    InterfaceGone(u32),
}

pub(crate) struct Link {
    index: u32,
    family: Family,
    socket: UdpSocket,
    interface: watch::Receiver<Interface>,
    common: Common,
    queries: Backoff,
    retries: Backoff,
    next_query: Instant,
    next_answer: Option<Instant>,
    last_answer: Option<Instant>,
    repeat: bool,
    service_asked: bool,
    window: (Instant, u32),
}

impl Link {
    pub(crate) fn open(
        index: u32,
        family: Family,
        interface: watch::Receiver<Interface>,
        common: Common,
    ) -> io::Result<Link> {
        let socket = socket::open(index, &interface.borrow(), family)?;
        let now = Instant::now();
        let (first, longest) = (common.config.first_interval, common.config.longest_interval);
        Ok(Link {
            index,
            family,
            socket,
            interface,
            common,
            queries: Backoff::new(first, longest),
            retries: Backoff::new(SEND_RETRY.0, SEND_RETRY.1),
            next_query: now,
            // We tell who we are at once, too: the others need not ask.
            next_answer: Some(now),
            last_answer: None,
            repeat: true,
            service_asked: false,
            window: (now, 0),
        })
    }

    /// Runs until the behaviour is gone (then it says goodbye) or the socket
    /// fails, which the engine answers by opening it anew.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        // One byte more than is read: a longer packet shows by filling it.
        let mut buffer = vec![0; MAX_PACKET + 1];
        loop {
            let next_answer = self.next_answer;
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let (length, source) = received?;
                    self.on_packet(&buffer[..length], source);
                }
                () = sleep_until(self.next_query) => self.on_query_due().await,
                () = async { sleep_until(next_answer.unwrap_or_else(Instant::now)).await },
                    if next_answer.is_some() => self.on_answer_due().await,
                changed = self.common.own.changed() => {
                    if changed.is_err() {
                        self.say_goodbye().await;
                        return Ok(());
                    }
                    self.repeat = true;
                    self.answer_within(Duration::ZERO);
                }
                changed = self.interface.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn on_packet(&mut self, bytes: &[u8], source: SocketAddr) {
        if !self.may_read() {
            return;
        }
        let common = &self.common;
        match packet::read(&common.names, bytes, common.config.time_to_live) {
            Received::Query => self.answer_soon(),
            Received::ServiceQuery => {
                self.service_asked = true;
                self.answer_soon();
            }
            Received::Answer(peers) => self.on_answer(peers, source),
            Received::Other => {}
        }
    }

    fn on_answer(&mut self, peers: Vec<packet::Announced>, source: SocketAddr) {
        // **M10**: RFC 6762, section 6: answers come from the port of
        // multicast DNS, others are ignored.
        if source.port() != PORT {
            return;
        }
        let interface = self.interface.borrow();
        for announced in peers {
            if announced.peer == self.common.peer {
                continue;
            }
            let mut addresses = announced.addresses;
            addresses.retain(|address| believable(address, &interface, &source.ip()));
            if addresses.is_empty() {
                continue;
            }
            let finding = Finding {
                interface: self.index,
                peer: announced.peer,
                addresses,
                time_to_live: announced.time_to_live,
            };
            // A full channel means a flood; a real peer will be heard again.
            if self
                .common
                .findings
                .try_send(Notice::Found(finding))
                .is_err()
            {
                tracing::debug!(peer = %announced.peer, "announcement dropped, too many at once");
            }
        }
    }

    async fn on_query_due(&mut self) {
        let query = packet::query(&self.common.names);
        let wait = match self.send(query).await {
            Ok(()) => {
                self.retries.reset();
                self.queries.next()
            }
            Err(error) => {
                tracing::debug!(interface = self.index, family = ?self.family, %error, "query");
                // Nobody heard it, so the quick ones are still to come.
                self.queries.reset();
                self.retries.next()
            }
        };
        self.next_query = Instant::now() + wait;
    }

    async fn on_answer_due(&mut self) {
        let now = Instant::now();
        self.next_answer = None;
        if std::mem::take(&mut self.service_asked) {
            let time_to_live = self.common.config.time_to_live;
            let _ = self
                .send(packet::service_answer(&self.common.names, time_to_live))
                .await;
        }
        match self
            .send(self.answer(self.common.config.time_to_live))
            .await
        {
            Ok(()) => {
                self.last_answer = Some(now);
                if std::mem::take(&mut self.repeat) {
                    self.next_answer = Some(now + REPEAT);
                }
            }
            Err(error) => {
                tracing::debug!(interface = self.index, family = ?self.family, %error, "answer");
                self.next_answer = Some(now + self.retries.next());
            }
        }
    }

    async fn say_goodbye(&self) {
        // Who does not hear it forgets us when our time to live is over.
        let _ = self.send(self.answer(Duration::ZERO)).await;
    }

    fn answer(&self, time_to_live: Duration) -> Option<Vec<u8>> {
        let interface = self.interface.borrow();
        let own = self.common.own.borrow();
        let addresses = advertised(&own, self.family, &interface);
        let answer = Answer {
            peer: self.common.peer,
            addresses: &addresses,
            ipv4: interface.ipv4(),
            ipv6: interface.ipv6(),
            time_to_live,
        };
        packet::answer(&self.common.names, &answer)
    }

    async fn send(&self, packet: Option<Vec<u8>>) -> io::Result<()> {
        let Some(packet) = packet else { return Ok(()) };
        self.socket
            .send_to(&packet, socket::group(self.index, self.family))
            .await
            .map(drop)
    }

    fn answer_soon(&mut self) {
        let delay = rand::rng().random_range(ANSWER_DELAY_MS);
        self.answer_within(Duration::from_millis(delay));
    }

    fn answer_within(&mut self, delay: Duration) {
        let mut due = Instant::now() + delay;
        if let Some(last) = self.last_answer {
            due = due.max(last + ANSWER_GAP);
        }
        self.next_answer = Some(self.next_answer.map_or(due, |next| next.min(due)));
    }

    fn may_read(&mut self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.window.0) >= Duration::from_secs(1) {
            self.window = (now, 0);
        }
        self.window.1 = self.window.1.saturating_add(1);
        self.window.1 <= PACKETS_PER_SECOND
    }
}
