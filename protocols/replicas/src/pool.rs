//! The streams to each peer: opened when needed, reused, scored (R3, R6).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use overlay::Contact;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::config::{Config, MAX_PEERS};
use crate::message::{Refusal, Request};
use crate::stream::{Reply, Stream, Unanswered};

/// A stream with so many requests under way is not given more while another one may be
/// opened. As many as a get has in flight: items on several streams come in pieces of a
/// packet each, which over QUIC costs a tenth of the throughput.
const PIPELINE: usize = 16;

/// Asks the Swarm task for a stream to a peer.
pub(crate) struct Open {
    pub(crate) peer: PeerId,
    pub(crate) addrs: Vec<Multiaddr>,
    pub(crate) reply: oneshot::Sender<Result<(libp2p_swarm::Stream, wire::Outdone), String>>,
}

/// Why a peer did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It could not be reached, or does not speak the protocol.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// It has not taken what was sent before; the copy is made later.
    #[error("it is behind with what it was sent before")]
    Behind,
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// The stream ended before it answered.
    #[error("the stream ended before the answer")]
    Ended,
    /// It refused.
    #[error("refused: {text}")]
    Refused {
        /// The kind of refusal.
        why: Refusal,
        /// Its words, shortened.
        text: String,
    },
    /// Its bytes are not the item that was asked for.
    #[error("sent bytes that are not the item")]
    Mismatch,
    /// Its answer does not belong to the question.
    #[error("its answer does not belong to the question")]
    Nonsense,
}

#[derive(Default)]
struct Peer {
    streams: Mutex<Vec<Arc<Stream>>>,
    opening: tokio::sync::Mutex<()>,
    avoid_until: Mutex<Option<Instant>>,
    load: AtomicUsize,
    quickest: Mutex<Option<Duration>>,
}

pub(crate) struct Pool {
    config: Config,
    max_item: usize,
    open: mpsc::Sender<Open>,
    peers: Mutex<HashMap<PeerId, Arc<Peer>>>,
}

impl Pool {
    pub(crate) fn new(config: Config, max_item: usize, open: mpsc::Sender<Open>) -> Pool {
        Pool {
            config,
            max_item,
            open,
            peers: Mutex::default(),
        }
    }

    /// How willingly a peer is asked, lower first: whether it failed lately, and how much
    /// it is doing for us already.
    pub(crate) fn score(&self, peer: PeerId) -> (bool, usize) {
        let peers = self.peers.lock();
        peers.get(&peer).map_or((false, 0), |peer| {
            (peer.is_avoided(), peer.load.load(Ordering::Relaxed))
        })
    }

    /// Whether the peer failed so lately that only a repair should try it again.
    pub(crate) fn is_avoided(&self, peer: PeerId) -> bool {
        self.score(peer).0
    }

    /// The shortest that an answer of this peer took: a round trip, and the work.
    pub(crate) fn quickest(&self, peer: PeerId) -> Option<Duration> {
        let peers = self.peers.lock();
        peers.get(&peer).and_then(|peer| *peer.quickest.lock())
    }

    /// Asks this peer last for a while.
    pub(crate) fn avoid(&self, peer: PeerId) {
        *self.peer(peer).avoid_until.lock() = Some(Instant::now() + self.config.avoid_for);
    }

    /// Sends a request to a peer and waits for the answer, within the request timeout.
    pub(crate) async fn ask(
        &self,
        to: &Contact,
        request: Request,
        body: Bytes,
    ) -> Result<Reply, RequestError> {
        let peer = self.peer(to.peer);
        peer.load.fetch_add(1, Ordering::Relaxed);
        let _busy = Busy(&peer.load);
        let outcome = self.ask_peer(&peer, to, request, body).await;
        match &outcome {
            Ok(_) => *peer.avoid_until.lock() = None,
            Err(RequestError::Unreachable(_) | RequestError::Timeout | RequestError::Ended) => {
                self.avoid(to.peer);
            }
            Err(_) => {}
        }
        outcome
    }

    async fn ask_peer(
        &self,
        peer: &Peer,
        to: &Contact,
        request: Request,
        body: Bytes,
    ) -> Result<Reply, RequestError> {
        let patience = self.config.request_timeout;
        let begin = Instant::now();
        // A pooled stream may have ended unnoticed, a fresh one has not: one more try.
        for last in [false, true] {
            let (stream, fresh) = self.stream(peer, to, last).await?;
            let sent = Instant::now();
            let asked = stream.ask(request.clone(), body.clone(), begin, patience);
            match asked.await {
                Ok(reply) => {
                    peer.took(sent.elapsed());
                    return refuse(reply);
                }
                Err(Unanswered::Ended) if !fresh && !last => {}
                Err(Unanswered::Ended) => return Err(RequestError::Ended),
                Err(Unanswered::Overdue) => return Err(RequestError::Timeout),
            }
        }
        Err(RequestError::Ended)
    }

    /// A stream with room, or a new one; `fresh` says which.
    async fn stream(
        &self,
        peer: &Peer,
        to: &Contact,
        force: bool,
    ) -> Result<(Arc<Stream>, bool), RequestError> {
        let full = self.config.streams_per_peer;
        let guard = match peer.best(full) {
            Best::Use(stream) if !force => return Ok((stream, false)),
            // Somebody is opening one already: what there is does until then.
            Best::Crowded(stream) if !force => match peer.opening.try_lock() {
                Ok(guard) => guard,
                Err(_) => return Ok((stream, false)),
            },
            _ => {
                let guard = timeout(self.config.open_timeout, peer.opening.lock())
                    .await
                    .map_err(|_| RequestError::Unreachable("no stream in time".into()))?;
                match peer.best(full) {
                    Best::Use(stream) | Best::Crowded(stream) => return Ok((stream, false)),
                    Best::None => guard,
                }
            }
        };
        let stream = self.open(to).await?;
        peer.streams.lock().push(Arc::clone(&stream));
        drop(guard);
        Ok((stream, true))
    }

    async fn open(&self, to: &Contact) -> Result<Arc<Stream>, RequestError> {
        let (reply, opened) = oneshot::channel();
        let open = Open {
            peer: to.peer,
            addrs: to.addrs.clone(),
            reply,
        };
        let unreachable = |text: &str| RequestError::Unreachable(text.into());
        let opened = timeout(self.config.open_timeout, async {
            self.open
                .send(open)
                .await
                .map_err(|_| unreachable("the node is stopping"))?;
            opened
                .await
                .map_err(|_| unreachable("the connection ended"))?
                .map_err(RequestError::Unreachable)
        });
        let (stream, outdone) = opened
            .await
            .map_err(|_| unreachable("no connection in time"))??;
        Ok(Stream::start(
            stream,
            outdone,
            self.max_item,
            self.config.stream_idle,
        ))
    }

    fn peer(&self, id: PeerId) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        if !peers.contains_key(&id) && peers.len() >= MAX_PEERS {
            peers.retain(|_, peer| {
                Arc::strong_count(peer) > 1 || peer.is_avoided() || peer.is_open()
            });
        }
        Arc::clone(peers.entry(id).or_default())
    }
}

struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Best {
    Use(Arc<Stream>),
    Crowded(Arc<Stream>),
    None,
}

impl Peer {
    fn best(&self, full: usize) -> Best {
        let mut streams = self.streams.lock();
        // Who still waits for an answer on one that is outdone has it in hand (W11).
        streams.retain(|stream| !stream.is_closed() && !stream.is_outdone());
        let Some(best) = streams.iter().min_by_key(|stream| stream.load()) else {
            return Best::None;
        };
        if best.load() < PIPELINE || streams.len() >= full {
            Best::Use(Arc::clone(best))
        } else {
            Best::Crowded(Arc::clone(best))
        }
    }

    fn took(&self, time: Duration) {
        let mut quickest = self.quickest.lock();
        *quickest = Some(quickest.map_or(time, |before| before.min(time)));
    }

    fn is_avoided(&self) -> bool {
        self.avoid_until
            .lock()
            .is_some_and(|until| Instant::now() < until)
    }

    fn is_open(&self) -> bool {
        self.streams.lock().iter().any(|stream| !stream.is_closed())
    }
}

/// How much of a peer's words is kept.
const MAX_TEXT: usize = 200;

fn refuse(reply: Reply) -> Result<Reply, RequestError> {
    match reply.response {
        crate::message::Response::Refused { why, text } => Err(RequestError::Refused {
            why,
            text: text.chars().take(MAX_TEXT).collect(),
        }),
        _ => Ok(reply),
    }
}
