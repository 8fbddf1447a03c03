//! Nodes that know each other through a ring the test decides.

use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use claims::{Claims, Handle, Limits, MemoryClaims, State, Store};
use guid::Guid;
use libp2p_swarm::Swarm;
use libp2p_swarm_test::SwarmExt;
use overlay::Contact;
use parking_lot::Mutex;
use replicas::{Config, Placement, PlacementError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::support::TestClock;

/// Everybody who is alive, as everybody knows it.
struct Ring {
    contacts: Mutex<Vec<Contact>>,
    version: watch::Sender<u64>,
}

impl Ring {
    fn closest(&self, key: Guid, k: usize) -> Vec<Contact> {
        let mut contacts = self.contacts.lock().clone();
        contacts.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
        contacts.truncate(k);
        contacts
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Contact>)) {
        change(&mut self.contacts.lock());
        self.version.send_modify(|version| *version += 1);
    }
}

struct Seen {
    ring: Arc<Ring>,
    me: Contact,
}

#[async_trait::async_trait]
impl Placement for Seen {
    fn me(&self) -> Contact {
        self.me.clone()
    }

    async fn replica_set(&self, key: Guid, k: usize) -> Result<Vec<Contact>, PlacementError> {
        Ok(self.ring.closest(key, k))
    }

    fn local_replica_set(&self, key: Guid, k: usize) -> Option<Vec<Contact>> {
        Some(self.ring.closest(key, k))
    }

    fn neighbours(&self) -> Vec<Contact> {
        let others = self.ring.contacts.lock().clone();
        let others = others.into_iter();
        others
            .filter(|contact| contact.peer != self.me.peer)
            .collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.ring.version.subscribe()
    }
}

pub(crate) struct Node {
    pub(crate) contact: Contact,
    pub(crate) clock: TestClock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) handle: Handle,
    pub(crate) replicas: replicas::Handle<Claims>,
    running: JoinHandle<()>,
}

pub(crate) struct Net {
    ring: Arc<Ring>,
    pub(crate) nodes: Vec<Node>,
}

impl Net {
    pub(crate) async fn start(nodes: usize) -> Net {
        let mut net = Net {
            ring: Arc::new(Ring {
                contacts: Mutex::default(),
                version: watch::Sender::new(0),
            }),
            nodes: Vec::new(),
        };
        for _ in 0..nodes {
            net.add(Limits::default()).await;
        }
        net
    }

    /// A node with an empty store that everybody knows from now on.
    pub(crate) async fn add(&mut self, limits: Limits) -> usize {
        let clock = TestClock::new();
        let store = MemoryClaims::new(limits, Arc::new(clock.clone()));
        self.add_with(clock, Arc::new(store)).await
    }

    pub(crate) async fn add_with(&mut self, clock: TestClock, store: Arc<dyn Store>) -> usize {
        let (ring, kept) = (Arc::clone(&self.ring), Arc::clone(&store));
        let mut handles = None;
        let mut swarm = Swarm::new_ephemeral_tokio(|key| {
            let peer = key.public().to_peer_id();
            let me = Contact {
                guid: Guid::hash(&peer.to_bytes()),
                peer,
                addrs: Vec::new(),
            };
            let config = Config {
                request_timeout: Duration::from_secs(2),
                open_timeout: Duration::from_secs(1),
                ..Config::default()
            };
            let (behaviour, handle) = claims::new(config, kept, Seen { ring, me });
            handles = Some((handle, behaviour.handle()));
            behaviour
        });
        let (address, _) = swarm.listen().with_memory_addr_external().await;
        let peer = *swarm.local_peer_id();
        let contact = Contact {
            guid: Guid::hash(&peer.to_bytes()),
            peer,
            addrs: vec![address],
        };
        self.ring.change(|contacts| contacts.push(contact.clone()));
        let (handle, replicas) = handles.unwrap();
        self.nodes.push(Node {
            contact,
            clock,
            store,
            handle,
            replicas,
            running: tokio::spawn(swarm.loop_on_next()),
        });
        self.nodes.len() - 1
    }

    /// Ends a node; everybody knows at once.
    pub(crate) async fn kill(&mut self, node: usize) -> Node {
        let mut node = self.nodes.remove(node);
        self.ring
            .change(|contacts| contacts.retain(|contact| contact.peer != node.contact.peer));
        node.stop().await;
        node
    }

    pub(crate) fn members(&self, block: &Cid) -> Vec<&Node> {
        self.nodes
            .iter()
            .filter(|node| node.handle.is_duty(block))
            .collect()
    }

    /// Some node that does not keep what belongs to a block.
    pub(crate) fn outsider(&self, block: &Cid) -> &Node {
        let mut others = self.nodes.iter();
        others.find(|node| !node.handle.is_duty(block)).unwrap()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.nodes
            .iter()
            .for_each(|node| node.clock.advance(seconds));
    }
}

impl Node {
    /// Ends it without a word to the others.
    pub(crate) async fn stop(&mut self) {
        self.running.abort();
        assert!((&mut self.running).await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn state(&self, block: &Cid) -> State {
        self.handle.state(block).await.unwrap()
    }

    /// Waits until it knows this of the block. The clock stands still while anybody has work to
    /// do, so this takes as long as the nodes' own timers take, and no real time.
    pub(crate) async fn comes_to(&self, block: &Cid, state: State) {
        let late = Instant::now() + Duration::from_secs(1_200);
        while self.state(block).await != state {
            assert!(Instant::now() < late, "never became {state:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}
