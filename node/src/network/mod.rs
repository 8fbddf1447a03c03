//! The swarm: transports, behaviours, and the task that drives them.
//!
//! Only the task in `driver` touches the Swarm. Everyone else holds a [`Network`],
//! and the handles of the behaviours, which talk to their own behaviour.

mod addresses;
mod behaviour;
mod driver;
mod expected;
mod gossip;
mod guarded;
mod kademlia;
mod listen;
mod nat;
mod providing;
mod rendezvous;
pub mod streams;
mod transport;

pub use addresses::{is_loopback, with_peer};
pub(crate) use behaviour::{Behaviour, Parts};
pub(crate) use driver::Driver;
pub(crate) use gossip::Listener as GossipListener;
pub use gossip::{GossipError, GossipMessage};
pub(crate) use kademlia::key_of_cid;
pub use kademlia::{KadError, provider_key};
pub(crate) use listen::listen_addresses;
pub(crate) use nat::Relays;
pub use nat::{Path, Reachability, Relaying, Reservation, ReservationState};
pub(crate) use transport::with_relay;
pub use transport::{BoxedTransport, TransportError, build as build_transport};

use std::time::Duration;

use libp2p::{Multiaddr, PeerId, kad::RecordKey};
use tokio::sync::{mpsc, oneshot, watch};

/// How long a person waits for a connection: a handshake takes a few round trips,
/// a dead address takes as long as the system tries.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Commands that wait for the driver; it takes them faster than people give them.
const COMMAND_QUEUE: usize = 64;

/// Talks to the swarm's task.
#[derive(Clone, Debug)]
pub struct Network {
    commands: mpsc::Sender<Command>,
    listen: watch::Receiver<Vec<Multiaddr>>,
    streams: streams::Handle,
}

/// The driver's ends of a [`Network`].
pub(crate) struct Ends {
    commands: mpsc::Receiver<Command>,
    listening: watch::Sender<Vec<Multiaddr>>,
}

/// What the swarm's task is asked.
#[derive(Debug)]
pub(crate) enum Command {
    Peers(oneshot::Sender<Vec<ConnectedPeer>>),
    Reach(oneshot::Sender<Reach>),
    Connect {
        address: Multiaddr,
        reply: oneshot::Sender<Result<PeerId, ConnectError>>,
    },
    Kad(kademlia::Ask),
    /// Keys that this node provides from now on.
    Provide(Vec<RecordKey>),
    /// One that it provides no more.
    Unprovide(RecordKey),
    Gossip(gossip::Ask),
}

/// How this node is reached by others, and others over it.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Whether others can dial it.
    pub reachability: Reachability,
    /// Its reservations at relays, held or wanted.
    pub reservations: Vec<Reservation>,
    /// What it relays for others.
    pub relaying: Relaying,
}

/// A peer with at least one open connection.
#[derive(Clone, Debug)]
pub struct ConnectedPeer {
    /// Who.
    pub peer: PeerId,
    /// How it is connected.
    pub path: Path,
    /// The far end of each open connection, those in use first.
    pub connections: Vec<Multiaddr>,
    /// Where it says it listens, empty until it has said so.
    pub addrs: Vec<Multiaddr>,
    /// Name and version of its program, empty until it has said so.
    pub agent: String,
    /// Protocols it speaks, empty until it has said so.
    pub protocols: Vec<String>,
    /// Round-trip time of the last ping.
    pub rtt: Option<Duration>,
}

/// Why a connection could not be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be dialled or nobody answered there.
    #[error("{0}")]
    Failed(String),
    /// Nobody answered in time.
    #[error("no answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

/// Why a ping has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PingError {
    /// The peer could not be reached or does not speak the protocol.
    #[error("{0}")]
    Unreachable(String),
    /// The answer is not what was sent.
    #[error("the peer answered with other bytes")]
    WrongAnswer,
    /// No answer in time.
    #[error("no answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
}

impl Network {
    pub(crate) fn new(streams: streams::Handle) -> (Self, Ends) {
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let (listening, listen) = watch::channel(Vec::new());
        let ends = Ends {
            commands: receiver,
            listening,
        };
        (
            Self {
                commands,
                listen,
                streams,
            },
            ends,
        )
    }

    /// The addresses the node listens on now.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.listen.borrow().clone()
    }

    pub(crate) fn listen_changes(&self) -> watch::Receiver<Vec<Multiaddr>> {
        self.listen.clone()
    }

    /// The peers connected now.
    pub async fn peers(&self) -> Vec<ConnectedPeer> {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Peers(reply)).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }

    /// How the node is reached.
    pub async fn reach(&self) -> Reach {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Reach(reply)).await.is_err() {
            return Reach::default();
        }
        answer.await.unwrap_or_default()
    }

    /// Connects to `address`; the answer is who is there.
    pub async fn connect(&self, address: Multiaddr) -> Result<PeerId, ConnectError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Connect { address, reply })
            .await
            .map_err(|_| ConnectError::Stopped)?;
        match tokio::time::timeout(CONNECT_TIMEOUT, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(ConnectError::Stopped),
            Err(_) => Err(ConnectError::Timeout),
        }
    }

    /// Publishes `data` to whoever listens to `topic`.
    pub async fn gossip_publish(
        &self,
        topic: String,
        data: bytes::Bytes,
    ) -> Result<(), GossipError> {
        self.gossip(|reply| gossip::Ask::Publish(topic, data, reply))
            .await
    }

    /// Subscribes to `topic` for as long as the listener lives.
    pub(crate) async fn gossip_listen(&self, topic: String) -> Result<GossipListener, GossipError> {
        let messages = self
            .gossip(|reply| gossip::Ask::Listen(topic, reply))
            .await?;
        Ok(GossipListener::new(messages, self.commands.clone()))
    }

    async fn gossip<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, GossipError>>) -> gossip::Ask,
    ) -> Result<T, GossipError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Gossip(ask(reply)))
            .await
            .map_err(|_| GossipError::Stopped)?;
        answer.await.unwrap_or(Err(GossipError::Stopped))
    }

    /// Where `peer` is, as Kademlia knows it.
    pub async fn kad_peer(&self, peer: PeerId) -> Result<Vec<Multiaddr>, KadError> {
        self.kad(|reply| kademlia::Ask::Peer(peer, reply)).await
    }

    /// Says in Kademlia that this node provides `key`, until it is told otherwise.
    pub async fn kad_provide(&self, key: RecordKey) -> Result<(), KadError> {
        self.kad(|reply| kademlia::Ask::Provide(key, reply)).await
    }

    /// Says so no more.
    pub async fn kad_unprovide(&self, key: RecordKey) -> Result<(), KadError> {
        self.kad(|reply| kademlia::Ask::Unprovide(key, reply)).await
    }

    /// Who provides `key`, as Kademlia knows it; never empty.
    pub async fn kad_providers(&self, key: RecordKey) -> Result<Vec<PeerId>, KadError> {
        self.kad(|reply| kademlia::Ask::Providers(key, reply)).await
    }

    /// Provides keys in Kademlia from now on; others hear of them when there is somebody to
    /// tell.
    pub(crate) async fn provide_all(&self, keys: Vec<RecordKey>) {
        // A node that is stopping provides nothing any more.
        let _ = self.commands.send(Command::Provide(keys)).await;
    }

    /// Provides a key no more.
    pub(crate) async fn provide_no_more(&self, key: RecordKey) {
        let _ = self.commands.send(Command::Unprovide(key)).await;
    }

    async fn kad<T>(
        &self,
        ask: impl FnOnce(kademlia::Reply<T>) -> kademlia::Ask,
    ) -> Result<T, KadError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Kad(ask(reply)))
            .await
            .map_err(|_| KadError::Stopped)?;
        // Each query ends by itself within Kademlia's own time.
        answer.await.unwrap_or(Err(KadError::Stopped))
    }

    /// Measures one round trip to `peer` with libp2p's ping protocol.
    pub async fn ping(&self, peer: PeerId) -> Result<Duration, PingError> {
        let round = async {
            let mut stream = self
                .streams
                .open(peer)
                .await
                .map_err(|error| PingError::Unreachable(error.to_string()))?;
            streams::ping(&mut stream).await
        };
        tokio::time::timeout(CONNECT_TIMEOUT, round)
            .await
            .unwrap_or(Err(PingError::Timeout))
    }
}
