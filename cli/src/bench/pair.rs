//! Two nodes on the loopback interface, with nothing but what is measured.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Weak},
    time::Duration,
};

use blocks::{MemoryStore, Store};
use futures::StreamExt;
use guid::Guid;
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm,
    identity::Keypair,
    multiaddr::Protocol,
    swarm::{self, NetworkBehaviour, SwarmEvent},
};
use node::network::streams;
use overlay::Contact;
use replicas::{Placement, PlacementError};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{args::TransportName, exit::Failure};

/// Protocol of the raw stream.
const RAW_PROTOCOL: StreamProtocol = StreamProtocol::new("/hedgerow/bench/1.0.0");

/// Raw streams a node takes at a time; one is used.
const MAX_RAW: usize = 4;

/// Longer than any pause in a measurement.
const IDLE: Duration = Duration::from_secs(600);

#[derive(NetworkBehaviour)]
struct Bench {
    raw: streams::Behaviour,
    blocks: blocks::Behaviour,
}

/// One node.
pub(super) struct End {
    pub(super) peer: PeerId,
    pub(super) blocks: blocks::Handle,
    pub(super) raw: streams::Handle,
    pub(super) inbound: tokio::sync::Mutex<mpsc::Receiver<(PeerId, Stream)>>,
    task: JoinHandle<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How long the tasks of a stopped pair may take to let go of the store.
const LET_GO: Duration = Duration::from_secs(10);

/// A node that asks and one that keeps everything, connected.
pub(super) struct Pair {
    pub(super) near: End,
    pub(super) far: End,
}

impl Pair {
    /// Connects two nodes; the far one has `store`, the near one an empty one in memory.
    pub(super) async fn start(
        transport: TransportName,
        store: Arc<dyn Store>,
    ) -> Result<Self, Failure> {
        let far_key = Keypair::generate_ed25519();
        let mut holder = contact(&far_key, Vec::new());
        let mut far = Builder::new(&far_key, holder.clone(), store)?;
        let address = far.listen(transport).await?;
        holder.addrs = vec![address.clone()];

        let near_key = Keypair::generate_ed25519();
        let mut near = Builder::new(&near_key, holder, Arc::new(MemoryStore::new()))?;
        near.swarm
            .dial(address.with(Protocol::P2p(far_key.public().to_peer_id())))
            .map_err(Failure::other)?;
        let far = far.run();
        loop {
            match near.swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => break,
                SwarmEvent::OutgoingConnectionError { error, .. } => {
                    return Err(Failure::other(format!("loopback: {error}")));
                }
                _ => {}
            }
        }
        Ok(Self {
            near: near.run(),
            far,
        })
    }
}

impl Pair {
    /// Stops both nodes and waits until nobody uses `store` any more, so that its
    /// directory can go.
    pub(super) async fn stop(self, store: Weak<dyn Store>) {
        drop(self);
        let let_go = async {
            // The tasks that hold it end by themselves and tell nobody.
            while store.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(LET_GO, let_go).await.is_err() {
            tracing::warn!("the store is still in use while its directory is removed");
        }
    }
}

fn contact(key: &Keypair, addrs: Vec<Multiaddr>) -> Contact {
    let public = key.public();
    let guid = Guid::of_key(&public.encode_protobuf());
    Contact {
        guid,
        peer: public.to_peer_id(),
        addrs,
    }
}

struct Builder {
    swarm: Swarm<Bench>,
    blocks: blocks::Handle,
    raw: streams::Handle,
    inbound: mpsc::Receiver<(PeerId, Stream)>,
}

impl Builder {
    fn new(key: &Keypair, holder: Contact, store: Arc<dyn Store>) -> Result<Self, Failure> {
        let placement = Fixed {
            me: contact(key, Vec::new()),
            holder,
            changes: watch::channel(0).0,
        };
        let blocks = blocks::Behaviour::new(replicas::Config::default(), store, placement);
        let (raw, raw_handle, inbound) = streams::Behaviour::new(RAW_PROTOCOL, MAX_RAW);
        let blocks_handle = blocks.handle();
        let transport = node::network::build_transport(key, false).map_err(Failure::other)?;
        let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE);
        let behaviour = Bench { raw, blocks };
        let swarm = Swarm::new(transport, behaviour, key.public().to_peer_id(), config);
        Ok(Self {
            swarm,
            blocks: blocks_handle,
            raw: raw_handle,
            inbound,
        })
    }

    async fn listen(&mut self, transport: TransportName) -> Result<Multiaddr, Failure> {
        let any = Multiaddr::from(Ipv4Addr::LOCALHOST);
        let address = match transport {
            TransportName::Tcp => any.with(Protocol::Tcp(0)),
            TransportName::Quic => any.with(Protocol::Udp(0)).with(Protocol::QuicV1),
        };
        self.swarm.listen_on(address).map_err(Failure::other)?;
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => return Ok(address),
                SwarmEvent::ListenerClosed {
                    reason: Err(error), ..
                } => {
                    return Err(Failure::other(format!("loopback: {error}")));
                }
                _ => {}
            }
        }
    }

    fn run(self) -> End {
        let Self {
            mut swarm,
            blocks,
            raw,
            inbound,
        } = self;
        let peer = *swarm.local_peer_id();
        let task = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        End {
            peer,
            blocks,
            raw,
            inbound: tokio::sync::Mutex::new(inbound),
            task,
        }
    }
}

/// A ring where one node keeps everything.
struct Fixed {
    me: Contact,
    holder: Contact,
    changes: watch::Sender<u64>,
}

#[async_trait::async_trait]
impl Placement for Fixed {
    fn me(&self) -> Contact {
        self.me.clone()
    }

    async fn replica_set(&self, _: Guid, _: usize) -> Result<Vec<Contact>, PlacementError> {
        Ok(vec![self.holder.clone()])
    }

    fn local_replica_set(&self, _: Guid, _: usize) -> Option<Vec<Contact>> {
        Some(vec![self.holder.clone()])
    }

    fn neighbours(&self) -> Vec<Contact> {
        Vec::new()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
