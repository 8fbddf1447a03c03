//! What all tasks have in common.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cid::Cid;
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use libp2p_swarm::{Stream, StreamProtocol};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::Config;
use crate::bounds::{OUTBOUND_BYTES, READING};
use crate::client::{GetId, Input, SessionId};
use crate::error::GetError;
use crate::message::Entry;
use crate::peer::Peer;
use crate::sender;
use crate::server::{Source, Wants};
use crate::stats::Counters;

/// Asks the Swarm task for a stream.
pub(crate) struct Open {
    pub(crate) peer: PeerId,
    pub(crate) addrs: Vec<Multiaddr>,
    pub(crate) reply: oneshot::Sender<Result<(Stream, StreamProtocol), String>>,
}

/// For the client's task.
pub(crate) enum Event {
    Input(Input),
    /// A get and where its outcome goes.
    Get(
        SessionId,
        GetId,
        Cid,
        oneshot::Sender<Result<Bytes, GetError>>,
    ),
}

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) counters: Counters,
    /// Of peers.
    pub(crate) wants: Mutex<Wants>,
    peers: Mutex<HashMap<PeerId, Arc<Peer>>>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) opens: mpsc::Sender<Open>,
    /// Bytes on their way to peers (Z10).
    pub(crate) outbound: Semaphore,
    /// Frames being read (Z18).
    pub(crate) reading: Semaphore,
    /// Blocks being hashed: half of the cores, so that the others move bytes.
    pub(crate) hashing: Semaphore,
    /// Blocks that this node wants.
    pub(crate) wanting: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        source: Arc<dyn Source>,
        events: mpsc::Sender<Event>,
        opens: mpsc::Sender<Open>,
    ) -> Shared {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Shared {
            config,
            source,
            counters: Counters::default(),
            wants: Mutex::default(),
            peers: Mutex::default(),
            events,
            opens,
            outbound: Semaphore::new(OUTBOUND_BYTES),
            reading: Semaphore::new(READING),
            hashing: Semaphore::new((cores / 2).max(1)),
            wanting: AtomicUsize::new(0),
        }
    }

    pub(crate) fn peer(&self, id: PeerId) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        let peer = peers.entry(id).or_insert_with(|| Arc::new(Peer::new(id)));
        Arc::clone(peer)
    }

    /// When anything last came from a peer.
    pub(crate) fn heard(&self, id: PeerId) -> Option<Instant> {
        self.peers.lock().get(&id).and_then(|peer| peer.heard())
    }

    /// Forgets a peer of which nothing is worth remembering.
    pub(crate) fn forget_idle(&self, id: PeerId) {
        let mut peers = self.peers.lock();
        if peers.get(&id).is_some_and(|peer| peer.is_idle()) {
            peers.remove(&id);
        }
    }

    /// Has a line sent to a peer.
    pub(crate) fn request(self: &Arc<Self>, id: PeerId, entry: Entry) {
        let peer = self.peer(id);
        peer.request(entry);
        self.wake(&peer);
    }

    /// Sees to it that somebody sends what there is for a peer.
    pub(crate) fn wake(self: &Arc<Self>, peer: &Arc<Peer>) {
        if peer.start() {
            tokio::spawn(sender::run(Arc::clone(self), Arc::clone(peer)));
        }
        peer.wake.notify_one();
    }

    /// A block is here now: whoever waits for it gets it (Z9).
    pub(crate) fn arrived(self: &Arc<Self>, cid: &Cid) {
        let waiting = self.wants.lock().arrived(cid);
        for id in waiting {
            self.wake(&self.peer(id));
        }
    }

    /// Whether this node wants any block at all.
    pub(crate) fn wants_any(&self) -> bool {
        self.wanting.load(Ordering::Relaxed) > 0
    }

    /// Tells the client's task; waits where that has much to do.
    pub(crate) async fn tell(&self, input: Input) {
        // It ends with the behaviour, and then nobody wants anything.
        let _ = self.events.send(Event::Input(input)).await;
    }

    /// The same where nobody can wait.
    pub(crate) fn tell_later(self: &Arc<Self>, input: Input) {
        let Err(error) = self.events.try_send(Event::Input(input)) else {
            return;
        };
        if let (mpsc::error::TrySendError::Full(event), Ok(runtime)) =
            (error, tokio::runtime::Handle::try_current())
        {
            let shared = Arc::clone(self);
            runtime.spawn(async move { shared.events.send(event).await.ok() });
        }
    }
}
