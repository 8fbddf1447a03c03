//! Nodes on the memory transport that know each other through a ring the test decides. Blocks
//! are in one place that all of them reach, and that a test can empty.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use archive::{
    Config, Fragments, Handle, Limits, Manifest, Manifests, MemoryStore, Store, fragments_config,
    manifests_config,
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use guid::{Guid, Span};
use libp2p_identity::{Keypair, PeerId};
use libp2p_swarm::{NetworkBehaviour, Swarm};
use libp2p_swarm_test::SwarmExt;
use objects::{Fields, Name, Record};
use overlay::Contact;
use parking_lot::Mutex;
use replicas::{ItemId, Placement, PlacementError, StoreError, Stored};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use unixfs::{BlockSink, BlockSource, BoxError, MemoryBlocks};

use crate::support::noise;

/// Everybody who is alive, as everybody knows it.
struct Ring {
    alive: RwLock<Vec<Contact>>,
    version: watch::Sender<u64>,
}

struct Seen {
    ring: Arc<Ring>,
    me: Contact,
}

#[async_trait]
impl Placement for Seen {
    fn me(&self) -> Contact {
        self.me.clone()
    }

    async fn replica_set(&self, key: Guid, k: usize) -> Result<Vec<Contact>, PlacementError> {
        Ok(self.local_replica_set(key, k).unwrap())
    }

    fn local_replica_set(&self, key: Guid, k: usize) -> Option<Vec<Contact>> {
        let mut all = self.ring.alive.read().unwrap().clone();
        all.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
        all.truncate(k);
        Some(all)
    }

    fn neighbours(&self) -> Vec<Contact> {
        let all = self.ring.alive.read().unwrap().clone();
        let others = all
            .into_iter()
            .filter(|contact| contact.peer != self.me.peer);
        others.collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.ring.version.subscribe()
    }
}

/// A store of which a test decides what it corrupts.
pub(crate) struct Faulty {
    inner: MemoryStore,
    /// Items that are read with another last byte.
    corrupted: Mutex<Vec<ItemId>>,
    /// Whether it takes nothing more.
    full: AtomicBool,
    /// Names that it lists at a place and has nothing of.
    listed: Mutex<Vec<(Guid, ItemId)>>,
}

impl Faulty {
    fn new() -> Faulty {
        Faulty {
            inner: MemoryStore::new(LIMITS),
            corrupted: Mutex::default(),
            full: AtomicBool::new(false),
            listed: Mutex::default(),
        }
    }

    /// Whether it refuses whatever is put from now on.
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// Lists these names, too, where somebody asks for what is at the place.
    pub(crate) fn list_as_well(&self, place: Guid, ids: impl Iterator<Item = ItemId>) {
        self.listed.lock().extend(ids.map(|id| (place, id)));
    }

    /// All items are gone; how many there were.
    pub(crate) async fn lose_all(&self) -> usize {
        let all = self.inner.list(Span::full(), None, 100_000).await.unwrap();
        for (place, id, _) in &all {
            self.inner.remove(*place, id).await.unwrap();
        }
        all.len()
    }

    /// From now on, until they are removed, all items are read as something else; how many.
    pub(crate) async fn corrupt_all(&self) -> usize {
        let all = self.inner.list(Span::full(), None, 100_000).await.unwrap();
        let ids: Vec<ItemId> = all.into_iter().map(|(_, id, _)| id).collect();
        let count = ids.len();
        *self.corrupted.lock() = ids;
        count
    }
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, place: Guid, id: &ItemId) -> Result<Option<(u64, Bytes)>, StoreError> {
        let kept = self.inner.get(place, id).await?;
        Ok(kept.map(|(version, bytes)| {
            if !self.corrupted.lock().contains(id) {
                return (version, bytes);
            }
            let mut bytes = bytes.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            (version, bytes.into())
        }))
    }

    async fn put(&self, item: archive::Item) -> Result<Stored, StoreError> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(StoreError::Full("it takes nothing".into())),
            false => self.inner.put(item).await,
        }
    }

    async fn version(&self, place: Guid, id: &ItemId) -> Result<Option<u64>, StoreError> {
        self.inner.version(place, id).await
    }

    async fn list(
        &self,
        span: Span,
        after: Option<(Guid, ItemId)>,
        limit: usize,
    ) -> Result<Vec<(Guid, ItemId, u64)>, StoreError> {
        let mut found = Vec::new();
        if span.from == span.to && after.is_none() {
            let listed = self.listed.lock();
            let here = listed.iter().filter(|(place, _)| *place == span.from);
            found.extend(here.take(limit).map(|(place, id)| (*place, id.clone(), 1)));
        }
        let left = limit - found.len();
        found.extend(self.inner.list(span, after, left).await?);
        Ok(found)
    }

    async fn remove(&self, place: Guid, id: &ItemId) -> Result<(), StoreError> {
        self.corrupted.lock().retain(|corrupted| corrupted != id);
        self.inner.remove(place, id).await
    }

    fn usage(&self) -> archive::Usage {
        self.inner.usage()
    }
}

/// One store of blocks for all.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<RwLock<MemoryBlocks>>);

impl Shared {
    /// All replicas of all blocks are gone.
    pub(crate) fn lose_all(&self) {
        *self.0.write().unwrap() = MemoryBlocks::default();
    }
}

#[async_trait]
impl BlockSource for Shared {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        let found = self.0.read().unwrap().block(cid);
        found.ok_or_else(|| "nobody has it".into())
    }
}

#[async_trait]
impl BlockSink for Shared {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        self.0.read().unwrap().insert(cid, bytes);
        Ok(())
    }
}

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p_swarm::derive_prelude")]
struct Both {
    fragments: replicas::Behaviour<Fragments>,
    manifests: replicas::Behaviour<Manifests>,
}

pub(crate) struct Node {
    pub(crate) handle: Handle,
    pub(crate) store: Arc<Faulty>,
    pub(crate) fragments: replicas::Handle<Fragments>,
    pub(crate) manifests: replicas::Handle<Manifests>,
    pub(crate) manifest_store: Arc<Faulty>,
    contact: Contact,
    running: JoinHandle<()>,
}

pub(crate) struct Net {
    pub(crate) nodes: Vec<Node>,
    pub(crate) blocks: Shared,
    pub(crate) owner: Keypair,
    ring: Arc<Ring>,
    /// When nodes begin to compare what they have after a change.
    debounce: Duration,
}

const LIMITS: Limits = Limits {
    bytes: 1 << 30,
    of_one: 1 << 30,
    of_others: 1 << 30,
    own: Guid::new(0),
    keep_free: 0,
};

/// So many nodes; the first one's key owns what is archived.
pub(crate) async fn net(nodes: usize) -> Net {
    net_with(nodes, Duration::from_millis(20)).await
}

/// The same, of nodes that never compare what they have: nothing moves but by sweeps.
pub(crate) async fn still_net(nodes: usize) -> Net {
    net_with(nodes, Duration::from_secs(86_400)).await
}

async fn net_with(nodes: usize, debounce: Duration) -> Net {
    let mut net = Net {
        nodes: Vec::new(),
        blocks: Shared::default(),
        owner: Keypair::generate_ed25519(),
        ring: Arc::new(Ring {
            alive: RwLock::default(),
            version: watch::Sender::new(0),
        }),
        debounce,
    };
    for _ in 0..nodes {
        net.join().await;
    }
    net
}

impl Net {
    /// One node more.
    pub(crate) async fn join(&mut self) {
        let store = Arc::new(Faulty::new());
        let manifest_store = Arc::new(Faulty::new());
        let debounce = self.debounce;
        let mut made = None;
        let owner = self.nodes.is_empty().then(|| self.owner.clone());
        let mut swarm = Swarm::new_ephemeral_tokio(|keypair| {
            let me = Contact {
                guid: Guid::of_key(&keypair.public().encode_protobuf()),
                peer: keypair.public().to_peer_id(),
                addrs: Vec::new(),
            };
            let seen = || Seen {
                ring: Arc::clone(&self.ring),
                me: me.clone(),
            };
            let quick = |config| replicas::Config {
                request_timeout: Duration::from_secs(2),
                open_timeout: Duration::from_secs(1),
                retry_after: Duration::from_millis(100),
                debounce,
                avoid_for: Duration::from_millis(200),
                ..config
            };
            let fragments = replicas::Behaviour::new(
                quick(fragments_config(1 << 40)),
                Arc::new(Fragments::new(Arc::clone(&store) as Arc<dyn Store>)),
                seen(),
            );
            let manifests = replicas::Behaviour::new(
                quick(manifests_config()),
                Arc::new(Manifests::new(Arc::clone(&manifest_store) as Arc<dyn Store>)),
                seen(),
            );
            let handle = Handle::new(
                fragments.handle(),
                manifests.handle(),
                Arc::new(self.blocks.clone()),
                seen(),
                owner.unwrap_or(keypair),
                Config {
                    repair_bytes_per_second: 1 << 40,
                    ..Config::default()
                },
            );
            made = Some((handle, fragments.handle(), manifests.handle(), me));
            Both {
                fragments,
                manifests,
            }
        });
        let (address, _) = swarm.listen().with_memory_addr_external().await;
        let (handle, fragments, manifests, mut contact) = made.unwrap();
        contact.addrs.push(address);
        self.ring.alive.write().unwrap().push(contact.clone());
        self.nodes.push(Node {
            handle,
            store,
            fragments,
            manifests,
            manifest_store,
            contact,
            running: tokio::spawn(swarm.loop_on_next()),
        });
        self.ring.version.send_modify(|version| *version += 1);
    }

    /// Ends a node without a word to the others, who know it at once.
    pub(crate) async fn kill(&mut self, node: usize) {
        let peer = self.nodes[node].contact.peer;
        let running = &mut self.nodes[node].running;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        let mut alive = self.ring.alive.write().unwrap();
        alive.retain(|contact| contact.peer != peer);
        drop(alive);
        self.ring.version.send_modify(|version| *version += 1);
    }

    /// The node with this key.
    pub(crate) fn of(&self, peer: PeerId) -> &Node {
        let mut nodes = self.nodes.iter();
        nodes.find(|node| node.contact.peer == peer).unwrap()
    }

    pub(crate) fn peer(&self, node: usize) -> PeerId {
        self.nodes[node].contact.peer
    }

    /// A version of `name` with so many bytes.
    pub(crate) async fn version(&self, name: &str, bytes: &[u8]) -> Record {
        let options = unixfs::Options::default();
        let file = unixfs::import_reader(bytes, &self.blocks, &options).await;
        let file = file.unwrap();
        let fields = Fields {
            name: Name::new(name).unwrap(),
            seq: 1,
            previous: Vec::new(),
            root: Some(file.cid),
            size: file.size,
            time: 0,
            properties: None,
        };
        Record::sign(&self.owner, fields).unwrap()
    }

    /// Archives so many bytes at the first node.
    pub(crate) async fn archived(&self, name: &str, length: usize) -> Manifest {
        let record = self.version(name, &noise(length as u64, length)).await;
        let added = self.nodes[0].handle.add(record, false, &|_| ()).await;
        added.unwrap().manifest
    }

    /// Whether the bytes of an archived version are there.
    pub(crate) async fn is_there(&self, manifest: &Manifest) -> bool {
        let root = manifest.record().root().unwrap();
        let mut bytes = Vec::new();
        let read = unixfs::export_to_writer(&root, &self.blocks, &mut bytes, 4).await;
        let length = manifest.record().fields().size as usize;
        read.is_ok() && bytes == noise(length as u64, length)
    }

    /// Lets each living node look at its archives once, all but those.
    pub(crate) async fn sweep(&self, round: u64, dead: &[usize]) {
        for (at, node) in self.nodes.iter().enumerate() {
            if !dead.contains(&at) {
                node.handle.sweep(round).await.unwrap();
            }
        }
    }
}
