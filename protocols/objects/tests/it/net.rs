//! Nodes on the memory transport; blocks are in one place that all of them reach.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use guid::Guid;
use libp2p_identity::{Keypair, PeerId};
use libp2p_swarm::Swarm;
use libp2p_swarm_test::SwarmExt;
use objects::{Action, Handle, Limits, MemoryHeads, Predicate, Update, WriteError, Written};
use overlay::Contact;
use replicas::{Config, Placement, PlacementError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use unixfs::{BlockSink, BlockSource, BoxError, MemoryBlocks};

use crate::support::name;

const RAW: u64 = 0x55;

/// Everybody knows everybody.
struct Everybody {
    me: Contact,
    all: Arc<RwLock<Vec<Contact>>>,
    /// Those that are cut off from the others, with each other.
    apart: Arc<RwLock<Vec<PeerId>>>,
    /// Told once, when all are there: what the tests see after that is what the handles did.
    complete: watch::Sender<u64>,
}

#[async_trait]
impl Placement for Everybody {
    fn me(&self) -> Contact {
        self.me.clone()
    }

    async fn replica_set(&self, key: Guid, k: usize) -> Result<Vec<Contact>, PlacementError> {
        Ok(self.local_replica_set(key, k).unwrap())
    }

    fn local_replica_set(&self, key: Guid, k: usize) -> Option<Vec<Contact>> {
        let mut all = self.all.read().unwrap().clone();
        let apart = self.apart.read().unwrap();
        all.retain(|contact| apart.contains(&contact.peer) == apart.contains(&self.me.peer));
        all.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
        all.truncate(k);
        Some(all)
    }

    fn neighbours(&self) -> Vec<Contact> {
        let all = self.all.read().unwrap().clone();
        let others = all
            .into_iter()
            .filter(|contact| contact.peer != self.me.peer);
        others.collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.complete.subscribe()
    }
}

/// One store of blocks for all.
#[derive(Clone, Default)]
pub(crate) struct Shared(pub(crate) Arc<MemoryBlocks>);

#[async_trait]
impl BlockSource for Shared {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        self.0.get(cid).await
    }
}

#[async_trait]
impl BlockSink for Shared {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        self.0.put(cid, bytes).await
    }
}

/// What happens to a leaf that a node itself stores: one of its list of names, for contents are
/// there before (see [`Net::put`]).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaves {
    Stored,
    Refused,
    /// Kept waiting until this changes.
    Held,
}

/// What nodes see of the blocks.
#[derive(Clone)]
pub(crate) struct Gate {
    blocks: Shared,
    pub(crate) leaves: watch::Sender<Leaves>,
    /// Leaves that came to be stored.
    pub(crate) came: watch::Sender<u64>,
    /// Bytes of blocks that were read and stored.
    pub(crate) read: Arc<AtomicUsize>,
    pub(crate) written: Arc<AtomicUsize>,
}

#[async_trait]
impl BlockSource for Gate {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        let bytes = self.blocks.get(cid).await?;
        self.read.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(bytes)
    }
}

#[async_trait]
impl BlockSink for Gate {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        self.written.fetch_add(bytes.len(), Ordering::Relaxed);
        if cid.codec() == RAW {
            self.came.send_modify(|came| *came += 1);
            let mut leaves = self.leaves.subscribe();
            let now = leaves.wait_for(|leaves| *leaves != Leaves::Held).await?;
            if *now == Leaves::Refused {
                return Err("the test refuses it".into());
            }
        }
        self.blocks.put(cid, bytes).await
    }
}

pub(crate) struct Net {
    pub(crate) nodes: Vec<Handle>,
    pub(crate) blocks: Shared,
    pub(crate) gate: Gate,
    replicas: Vec<replicas::Handle<objects::Newest>>,
    swarms: Vec<JoinHandle<()>>,
    peers: Vec<PeerId>,
    apart: Arc<RwLock<Vec<PeerId>>>,
}

/// So many nodes, each with a key of its own.
pub(crate) async fn net(nodes: usize) -> Net {
    net_with(nodes, |_, own| own).await
}

/// The same, writing with the keys that `key` chooses.
pub(crate) async fn net_with(nodes: usize, key: impl Fn(usize, Keypair) -> Keypair) -> Net {
    let all = Arc::new(RwLock::new(Vec::new()));
    let blocks = Shared::default();
    let gate = Gate {
        blocks: blocks.clone(),
        leaves: watch::Sender::new(Leaves::Stored),
        came: watch::Sender::new(0),
        read: Arc::default(),
        written: Arc::default(),
    };
    let complete = watch::Sender::new(0);
    let apart = Arc::<RwLock<Vec<PeerId>>>::default();
    let mut peers = Vec::new();
    let (mut handles, mut swarms, mut replicas) = (Vec::new(), Vec::new(), Vec::new());
    for node in 0..nodes {
        let mut handle = None;
        let mut swarm = Swarm::new_ephemeral_tokio(|keypair| {
            let guid = Guid::of_key(&keypair.public().encode_protobuf());
            let me = Contact {
                guid,
                peer: keypair.public().to_peer_id(),
                addrs: Vec::new(),
            };
            let placement = Everybody {
                me: me.clone(),
                all: Arc::clone(&all),
                apart: Arc::clone(&apart),
                complete: complete.clone(),
            };
            peers.push(me.peer);
            all.write().unwrap().push(me);
            let store = MemoryHeads::new(guid, Limits::default());
            let config = Config {
                debounce: Duration::from_millis(20),
                retry_after: Duration::from_millis(100),
                ..Config::default()
            };
            let behaviour = objects::new(config, Arc::new(store), placement);
            replicas.push(behaviour.handle());
            handle = Some(Handle::new(
                behaviour.handle(),
                Arc::new(gate.clone()),
                key(node, keypair),
            ));
            behaviour
        });
        let (address, _) = swarm.listen().with_memory_addr_external().await;
        all.write().unwrap().last_mut().unwrap().addrs.push(address);
        handles.extend(handle);
        swarms.push(tokio::spawn(swarm.loop_on_next()));
    }
    complete.send_modify(|version| *version += 1);
    // One that is alone has nobody to compare with.
    while nodes > 1 && !replicas.iter().all(replicas::Handle::is_settled) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Net {
        nodes: handles,
        blocks,
        gate,
        replicas,
        swarms,
        peers,
        apart,
    }
}

impl Net {
    /// From now on these and the others know nothing of each other; with none, all do.
    pub(crate) fn cut(&self, nodes: &[usize]) {
        let apart = nodes.iter().map(|node| self.peers[*node]);
        *self.apart.write().unwrap() = apart.collect();
    }

    /// Ends a node without a word to the others.
    pub(crate) async fn kill(&mut self, node: usize) {
        let swarm = &mut self.swarms[node];
        swarm.abort();
        assert!(swarm.await.unwrap_err().is_cancelled());
    }

    /// The first node's objects, for whoever walks so many records at most.
    pub(crate) fn reader(&self, records: u64) -> Handle {
        let blocks = Arc::new(self.blocks.clone());
        let key = Keypair::generate_ed25519();
        Handle::new(self.replicas[0].clone(), blocks, key).with_max_walk(records)
    }

    /// Stores a file.
    pub(crate) async fn file(&self, content: &str) -> Cid {
        let options = unixfs::Options::default();
        let file = unixfs::import_reader(content.as_bytes(), &self.blocks, &options).await;
        file.unwrap().cid
    }

    /// Puts a file under a name.
    pub(crate) async fn put(
        &self,
        node: usize,
        text: &str,
        content: &str,
        predicates: Vec<Predicate>,
    ) -> Result<Written, WriteError> {
        let set = Action::Set(self.file(content).await);
        let update = Update::when(predicates, vec![set]);
        self.nodes[node].update(&name(text), update).await
    }

    /// Carries out one action.
    pub(crate) async fn act(
        &self,
        node: usize,
        text: &str,
        action: Action,
    ) -> Result<Written, WriteError> {
        let update = Update::when(Vec::new(), vec![action]);
        self.nodes[node].update(&name(text), update).await
    }

    /// The bytes of a file.
    pub(crate) async fn read(&self, root: Cid) -> String {
        let mut bytes = Vec::new();
        unixfs::export_to_writer(&root, &self.blocks, &mut bytes, 4)
            .await
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }
}
