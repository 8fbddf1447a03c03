//! Nodes on the memory transport that know each other through a ring the test decides.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use blocks::{Behaviour, Block, Blocks, FaultyStore, RAW, Store};
use bytes::Bytes;
use cid::Cid;
use guid::{Guid, Span};
use libp2p_identity::PeerId;
use libp2p_swarm::{NetworkBehaviour, Swarm};
use libp2p_swarm_test::SwarmExt;
use overlay::Contact;
use parking_lot::Mutex;
use replicas::{Placement, PlacementError, StoreError};
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};
use unixfs::{BlockSink, BlockSource, BoxError, Imported};
use upkeep::{Config, Handle, Ledger, Unwanted};

/// Everybody who is alive, as everybody knows it.
struct Ring {
    alive: RwLock<Vec<Contact>>,
    version: watch::Sender<u64>,
}

#[derive(Clone)]
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

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p_swarm::derive_prelude")]
struct All {
    blocks: blocks::Behaviour,
    objects: objects::Behaviour,
    claims: claims::Behaviour,
}

/// Blocks of the network, as a node gets and puts them; a test can have it fail or wait.
#[derive(Clone)]
pub(crate) struct Source {
    blocks: blocks::Handle,
    /// Blocks that nobody gives.
    pub(crate) refused: Arc<Mutex<Vec<Cid>>>,
    /// How many more are given.
    pub(crate) turns: Arc<Semaphore>,
    /// How many were asked for.
    pub(crate) asked: Arc<AtomicU64>,
}

impl Source {
    fn new(blocks: blocks::Handle) -> Source {
        Source {
            blocks,
            refused: Arc::default(),
            turns: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            asked: Arc::default(),
        }
    }
}

#[async_trait]
impl BlockSource for Source {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.turns.acquire().await?.forget();
        if self.refused.lock().contains(cid) {
            return Err("nobody gives it".into());
        }
        Ok(self.blocks.get(cid).await?)
    }
}

#[async_trait]
impl BlockSink for Source {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        self.blocks.put(Block::new(cid, bytes)?).await?;
        Ok(())
    }
}

pub(crate) struct Node {
    pub(crate) blocks: blocks::Handle,
    pub(crate) source: Source,
    pub(crate) faults: Option<Arc<FaultyStore>>,
    pub(crate) peer: PeerId,
    pub(crate) objects: objects::Handle,
    pub(crate) claims: claims::Handle,
    /// Where its ledger is.
    folder: TempDir,
}

/// Nothing goes on by itself that a test does not wait for.
pub(crate) const QUIET: Config = Config {
    scrub_every: None,
    scrub_bytes_per_second: 1 << 40,
    look_every: Duration::from_secs(86_400),
    again_after: Duration::from_secs(86_400),
    claim_after: Duration::ZERO,
    release_every: Duration::from_secs(86_400),
    grace: Duration::ZERO,
};

impl Node {
    /// Its upkeep, as after a start.
    pub(crate) fn upkeep(&self, config: Config) -> Handle {
        let source = Arc::new(self.source.clone());
        Handle::new(self.blocks.clone(), source, self.ledger(), config)
    }

    /// Its upkeep, which tells others what it needs.
    pub(crate) fn caring(&self, config: Config) -> Handle {
        let source = Arc::new(self.source.clone());
        let (objects, claims) = (self.objects.clone(), self.claims.clone());
        Handle::with_claims(
            self.blocks.clone(),
            source,
            self.ledger(),
            config,
            (objects, claims),
        )
    }

    fn ledger(&self) -> Ledger {
        // A call that was given up may still be at work on another thread, and holds it.
        let open = || match Ledger::open(self.folder.path()) {
            Err(StoreError::Locked) => {
                std::thread::sleep(Duration::from_millis(10));
                None
            }
            opened => Some(opened.unwrap()),
        };
        let ledger = (0..1000).find_map(|_| open());
        ledger.expect("it is let go of")
    }

    /// The blocks that are kept here.
    pub(crate) async fn kept(&self) -> Vec<Cid> {
        let store = self.blocks.store();
        store.list(Span::full(), None, usize::MAX).await.unwrap()
    }

    /// Whether it has to keep a block.
    pub(crate) async fn owes(&self, cid: &Cid) -> bool {
        let keepers = self.blocks.keepers(cid).await.unwrap();
        keepers.iter().any(|keeper| keeper.is_this_node)
    }

    /// A file of so many bytes, put by this node in chunks of 1000 bytes.
    pub(crate) async fn file(&self, seed: u64, length: usize) -> Imported {
        let options = unixfs::Options {
            chunking: unixfs::Chunking::Size(1000),
            max_links: 60,
            ..unixfs::Options::default()
        };
        let bytes = noise(seed, length);
        let put = unixfs::import_reader(&bytes[..], &self.source, &options);
        put.await.unwrap()
    }
}

pub(crate) struct Net {
    pub(crate) nodes: Vec<Node>,
    ring: Arc<Ring>,
}

/// So many nodes with stores that can be made to fail.
pub(crate) async fn net(nodes: usize) -> Net {
    let mut net = Net {
        nodes: Vec::new(),
        ring: Arc::new(Ring {
            alive: RwLock::default(),
            version: watch::Sender::new(0),
        }),
    };
    for _ in 0..nodes {
        let faults = Arc::new(FaultyStore::default());
        let store = Arc::clone(&faults) as Arc<dyn Store>;
        net.join(store, Some(faults)).await;
    }
    net
}

impl Net {
    pub(crate) async fn join(&mut self, store: Arc<dyn Store>, faults: Option<Arc<FaultyStore>>) {
        let mut made = None;
        // Spread evenly, and the same in each run: what a node has to keep is not left to chance.
        let guid = Guid::new((self.nodes.len() as u128).reverse_bits());
        let mut swarm = Swarm::new_ephemeral_tokio(|keypair| {
            let me = Contact {
                guid,
                peer: keypair.public().to_peer_id(),
                addrs: Vec::new(),
            };
            let seen = Seen {
                ring: Arc::clone(&self.ring),
                me: me.clone(),
            };
            let config = replicas::Config {
                request_timeout: Duration::from_secs(2),
                open_timeout: Duration::from_secs(1),
                retry_after: Duration::from_millis(50),
                debounce: Duration::from_millis(20),
                avoid_for: Duration::from_millis(200),
                ..replicas::Config::default()
            };
            let clock = Arc::new(claims::SystemClock);
            let claimed = claims::MemoryClaims::new(claims::Limits::default(), clock);
            let (claims, claims_handle) =
                claims::new(config.clone(), Arc::new(claimed), seen.clone());
            let unwanted = Unwanted::new(claims_handle.clone(), &QUIET);
            let kept = Blocks::new(store).with_needs(Arc::new(unwanted));
            let blocks = Behaviour::of(config.clone(), kept, seen.clone());
            let heads = objects::MemoryHeads::new(guid, objects::Limits::default());
            let objects = objects::new(config, Arc::new(heads), seen);
            let source = Source::new(blocks.handle());
            let objects_handle =
                objects::Handle::new(objects.handle(), Arc::new(source.clone()), keypair);
            made = Some((source, objects_handle, claims_handle, me));
            All {
                blocks,
                objects,
                claims,
            }
        });
        let (address, _) = swarm.listen().with_memory_addr_external().await;
        let (source, objects, claims, mut contact) = made.unwrap();
        contact.addrs.push(address);
        let peer = contact.peer;
        self.ring.alive.write().unwrap().push(contact);
        self.ring.version.send_modify(|version| *version += 1);
        self.nodes.push(Node {
            blocks: source.blocks.clone(),
            source,
            faults,
            peer,
            objects,
            claims,
            folder: tempfile::tempdir().unwrap(),
        });
        tokio::spawn(swarm.loop_on_next());
    }

    /// Returns once all who have to keep a block do.
    pub(crate) async fn until_kept(&self, cid: &Cid) {
        until(async || {
            let keepers = self.nodes[0].blocks.keepers(cid).await.unwrap();
            keepers.iter().all(|keeper| matches!(keeper.has, Ok(true)))
        })
        .await;
    }

    /// Returns once nobody compares what it has with others any more: what is lost from now on
    /// stays lost until somebody sees it.
    pub(crate) async fn until_settled(&self) {
        for node in &self.nodes {
            until(async || node.blocks.is_settled()).await;
        }
    }

    /// The node with this key.
    pub(crate) fn of(&self, peer: PeerId) -> &Node {
        self.nodes.iter().find(|node| node.peer == peer).unwrap()
    }
}

/// Returns once it is so. What other nodes do in the background tells nobody when it is done.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let so = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), so).await;
    in_time.expect("it is not so after a minute");
}

/// Bytes that follow from a seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(next).collect()
}

/// A raw block of so many bytes.
pub(crate) fn raw(seed: u64, length: usize) -> Block {
    Block::of(RAW, noise(seed, length).into()).unwrap()
}
