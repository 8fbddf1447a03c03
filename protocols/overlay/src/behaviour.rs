//! The shell's state, and how commands and messages become inputs.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use guid::Base;
use libp2p_core::Multiaddr;
use libp2p_identity::{Keypair, PeerId};
use libp2p_swarm::{
    CloseConnection, ConnectionDenied, ExternalAddresses, ListenAddresses, StreamProtocol, ToSwarm,
};
use overlay_core::{Addrs, Input, Overlay, Time};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, Sleep},
};

use crate::{
    Config, Counters, Event, Handle, RefusalReason, Snapshot, addrs,
    command::Command,
    error::UNANSWERED,
    guid_of_peer,
    inbound::{self, Rejected},
    links::Links,
    pending::{Pending, Waiting},
    refused::Refused,
    registry::Registry,
    swarm::PeerRefused,
};

/// Protocol id of overlay messages.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/hedgerow/overlay/1.0.0");

/// Longest frame in bytes. A join collects up to a few hundred contacts of at most
/// 600 bytes; an application's payload is far below.
const MAX_FRAME: usize = 512 * 1024;

/// Commands of handles that wait for the behaviour; a handle waits for room.
const COMMAND_QUEUE: usize = 1024;

/// The core's time: microseconds since this behaviour was made.
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn instant(&self, time: Time) -> Instant {
        self.0 + Duration::from_micros(time.as_micros())
    }
}

/// One node's part in the overlay. Needs a tokio runtime.
pub struct Behaviour {
    pub(crate) config: Config,
    pub(crate) core: Overlay<PeerId>,
    pub(crate) clock: Clock,
    pub(crate) links: Links,
    pub(crate) pending: Pending,
    pub(crate) refused: Refused,
    pub(crate) registry: Arc<Registry>,
    pub(crate) counters: Counters,
    /// Inputs that arose while outputs were drained.
    pub(crate) inputs: VecDeque<Input<PeerId>>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) snapshot: watch::Sender<Arc<Snapshot>>,
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) leaf_set_changed: bool,
    /// When this node became active, since its start.
    pub(crate) active_since: Option<Duration>,
    /// When the snapshot is due, if anything changed.
    pub(crate) publish_at: Option<Instant>,
    pub(crate) handle: Handle,
    pub(crate) closing: VecDeque<PeerId>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) leaving: Vec<oneshot::Sender<()>>,
    pub(crate) listen: ListenAddresses,
    pub(crate) external: ExternalAddresses,
    pub(crate) announced: Vec<Multiaddr>,
    pub(crate) sleep: Pin<Box<Sleep>>,
}

impl Behaviour {
    /// The overlay of the node that owns `key`.
    ///
    /// # Panics
    ///
    /// If [`Config::validate`] would refuse the settings, or outside a tokio runtime.
    pub fn new(config: Config, key: &Keypair) -> Self {
        config.validate().expect("validated settings");
        let peer = key.public().to_peer_id();
        let base = Base::new(config.pastry.digit_bits).expect("validated settings");
        let clock = Clock(Instant::now());
        let me = overlay_core::Contact {
            guid: guid_of_peer(&peer),
            peer,
            addrs: Addrs::default(),
        };
        let core = Overlay::new(config.pastry.clone(), me, rand::random(), clock.now());
        let (snapshot, seen) = watch::channel(Arc::new(crate::snapshot::take(&core)));
        let (changes, changed) = watch::channel(0);
        let (sender, commands) = mpsc::channel(COMMAND_QUEUE);
        let registry = Arc::new(Registry::default());
        let handle = Handle {
            commands: sender,
            snapshot: seen,
            changes: changed,
            registry: Arc::clone(&registry),
        };
        Self {
            core,
            clock,
            links: Links::default(),
            pending: Pending::new(base, config.max_pending),
            refused: Refused::new(config.refuse_for),
            registry,
            counters: Counters::default(),
            inputs: VecDeque::new(),
            events: VecDeque::new(),
            snapshot,
            changes,
            leaf_set_changed: false,
            active_since: None,
            publish_at: None,
            handle,
            closing: VecDeque::new(),
            commands,
            leaving: Vec::new(),
            listen: ListenAddresses::default(),
            external: ExternalAddresses::default(),
            announced: Vec::new(),
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            config,
        }
    }

    /// A handle for applications.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Discovery, a person or the disk knows of a peer that may be a member.
    pub fn add_peer(&mut self, peer: PeerId, addrs: Vec<Multiaddr>) {
        if self.refused.contains(&peer) || peer == self.handle.me().peer {
            return;
        }
        let addrs = Addrs::new(Bytes::from(addrs::encode(&addrs)));
        self.input(Input::PeerFound(overlay_core::Contact {
            guid: guid_of_peer(&peer),
            peer,
            addrs,
        }));
    }

    pub(crate) fn wire_handler(&self, peer: &PeerId) -> Result<wire::Handler, ConnectionDenied> {
        if self.refused.contains(peer) {
            return Err(ConnectionDenied::new(PeerRefused));
        }
        Ok(wire::Handler::new(wire::HandlerConfig {
            messages: Some(wire::MessageConfig {
                protocol: PROTOCOL,
                max_frame: MAX_FRAME,
                queue: self.config.send_queue,
            }),
            streams: None,
            open_timeout: self.config.open_timeout,
            keep_alive: self.links.is_kept(peer),
        }))
    }

    pub(crate) fn on_message(&mut self, from: PeerId, bytes: &[u8]) {
        match inbound::read(bytes, from, &self.config.pastry) {
            Ok(message) => {
                tracing::trace!(%from, kind = message.kind(), "received");
                self.counters.received += 1;
                self.input(Input::Received { from, message });
            }
            Err(Rejected::Forged) => {
                self.counters.forged += 1;
                self.refuse(from, RefusalReason::ForgedContact);
            }
            Err(Rejected::NotItself) => {
                self.counters.forged += 1;
                self.refuse(from, RefusalReason::NotItself);
            }
            Err(error @ (Rejected::Undecodable(_) | Rejected::Invalid(_))) => {
                tracing::debug!(%from, %error, "broken message");
                self.on_garbage(from);
            }
        }
    }

    pub(crate) fn on_garbage(&mut self, peer: PeerId) {
        self.counters.garbage += 1;
        if self.refused.strike(peer) {
            self.refuse(peer, RefusalReason::Garbage);
        }
    }

    fn refuse(&mut self, peer: PeerId, reason: RefusalReason) {
        // Messages read before the connection closed must not refuse it again.
        if self.refused.contains(&peer) {
            return;
        }
        tracing::info!(%peer, %reason, "peer refused");
        self.refused.add(peer);
        self.links.forget(&peer);
        self.closing.push_back(peer);
        self.events.push_back(Event::PeerRefused { peer, reason });
        self.input(Input::PeerGone(peer));
    }

    /// Tells the core of our addresses if they changed (O4).
    pub(crate) fn on_addresses(&mut self) {
        // Sorted, because the set of addresses has no order of its own.
        let mut own: Vec<&Multiaddr> = self.listen.iter().collect();
        own.sort();
        let own: Vec<&Multiaddr> = self.external.iter().chain(own).collect();
        let announced = addrs::announced(&own);
        if announced != self.announced {
            let bytes = Bytes::from(addrs::encode(&announced));
            self.announced = announced;
            self.input(Input::AddrsChanged(Addrs::new(bytes)));
        }
    }

    pub(crate) fn on_command(&mut self, command: Command) {
        match command {
            Command::Route {
                key,
                k,
                app,
                payload,
                outcome,
            } => {
                let Some(request) = self.pending.add(Waiting::Route(outcome)) else {
                    return;
                };
                self.input(Input::Route {
                    request,
                    key,
                    k,
                    app,
                    payload,
                    wants_reply: false,
                });
            }
            Command::Request {
                key,
                k,
                app,
                payload,
                outcome,
            } => {
                let Some(request) = self.pending.add(Waiting::Request(outcome)) else {
                    return;
                };
                self.input(Input::Route {
                    request,
                    key,
                    k,
                    app,
                    payload,
                    wants_reply: true,
                });
            }
            Command::ReplicaSet { key, k, outcome } => {
                let waiting = Waiting::ReplicaSet(outcome);
                let Some(request) = self.pending.add(waiting) else {
                    return;
                };
                self.input(Input::Locate {
                    request,
                    key,
                    k,
                    trace: false,
                });
            }
            Command::Trace { key, outcome } => {
                let waiting = Waiting::Trace { key, outcome };
                let Some(request) = self.pending.add(waiting) else {
                    return;
                };
                self.input(Input::Locate {
                    request,
                    key,
                    k: 1,
                    trace: true,
                });
            }
            Command::Publish { object, outcome } => {
                let Some(request) = self.pending.add(Waiting::Publish(outcome)) else {
                    return;
                };
                self.input(Input::Publish { request, object });
            }
            Command::Unpublish { object, outcome } => {
                let Some(request) = self.pending.add(Waiting::Route(outcome)) else {
                    return;
                };
                self.input(Input::Unpublish { request, object });
            }
            Command::LocateObject {
                object,
                count,
                outcome,
            } => {
                let Some(request) = self.pending.add(Waiting::LocateObject(outcome)) else {
                    return;
                };
                self.input(Input::LocateObject {
                    request,
                    object,
                    count,
                });
            }
            Command::SendToObject {
                object,
                count,
                app,
                payload,
                outcome,
            } => {
                let Some(request) = self.pending.add(Waiting::SendToObject(outcome)) else {
                    return;
                };
                self.input(Input::SendToObject {
                    request,
                    object,
                    count,
                    app,
                    payload,
                });
            }
            Command::Respond { asker, payload } => {
                let answer = payload.ok_or_else(|| UNANSWERED.to_owned());
                self.input(Input::Reply {
                    id: asker.id,
                    origin: asker.origin,
                    hops: asker.hops,
                    answer,
                });
            }
            Command::Resume { ticket, payload } => self.input(Input::Resume { ticket, payload }),
            Command::Registered => {
                for app in self.registry.intercepting() {
                    self.input(Input::Intercept(app));
                }
            }
            Command::Leave { done } => {
                self.leaving.push(done);
                self.input(Input::Leave);
            }
        }
    }

    /// Ready when the core or the snapshot is due.
    pub(crate) fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let core = self
                .core
                .poll_timeout()
                .map(|(due, _)| self.clock.instant(due));
            let Some(due) = core.into_iter().chain(self.publish_at).min() else {
                return Poll::Pending;
            };
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            if self.sleep.deadline() != due {
                self.sleep.as_mut().reset(due);
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    pub(crate) fn on_timers(&mut self) {
        if self.publish_at.is_some_and(|due| due <= Instant::now()) {
            self.publish();
        }
        let now = self.clock.now();
        if self.core.poll_timeout().is_some_and(|(due, _)| due <= now) {
            self.input(Input::Timeout);
        }
    }

    pub(crate) fn pop_action(&mut self) -> Option<ToSwarm<Event, wire::Command>> {
        if let Some(event) = self.events.pop_front() {
            return Some(ToSwarm::GenerateEvent(event));
        }
        if let Some(peer_id) = self.closing.pop_front() {
            let connection = CloseConnection::All;
            return Some(ToSwarm::CloseConnection {
                peer_id,
                connection,
            });
        }
        self.links.pop_action()
    }
}
