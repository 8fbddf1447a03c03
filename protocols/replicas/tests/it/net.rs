//! Nodes that know each other through a ring the test decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use guid::Guid;
use libp2p_identity::PeerId;
use libp2p_swarm::{NetworkBehaviour, Swarm};
use libp2p_swarm_test::SwarmExt;
use overlay::Contact;
use parking_lot::Mutex;
use replicas::{Behaviour, Config, Handle, Placement, PlacementError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::directory::{Board, Posted};
use crate::map::Map;

/// Everybody who is alive, as everybody knows it.
pub(crate) struct Ring {
    contacts: Mutex<Vec<Contact>>,
    /// Round trips as everybody has measured them.
    rtts: Mutex<HashMap<PeerId, Duration>>,
    /// How many of those who kept the same items are gone, as each knows it.
    lost: Mutex<HashMap<PeerId, usize>>,
    version: watch::Sender<u64>,
}

impl Ring {
    fn closest(&self, key: Guid, k: usize) -> Vec<Contact> {
        let mut contacts = self.contacts.lock().clone();
        contacts.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
        contacts.truncate(k);
        contacts
    }

    /// A node and its addresses.
    pub(crate) fn contact(&self, peer: PeerId) -> Contact {
        let contacts = self.contacts.lock();
        let found = contacts.iter().find(|contact| contact.peer == peer);
        found.unwrap().clone()
    }

    /// From now on everybody has measured this round trip to a node.
    pub(crate) fn measured(&self, peer: PeerId, rtt: Duration) {
        self.rtts.lock().insert(peer, rtt);
    }

    /// From now on a node knows that so many of those who kept the same as itself are gone.
    pub(crate) fn lose(&self, knows: PeerId, count: usize) {
        self.lost.lock().insert(knows, count);
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

    fn lost_together(&self, _key: Guid, _k: usize) -> usize {
        let lost = self.ring.lost.lock();
        lost.get(&self.me.peer).copied().unwrap_or_default()
    }

    fn neighbours(&self) -> Vec<Contact> {
        let others = self.ring.contacts.lock().clone();
        others
            .into_iter()
            .filter(|contact| contact.peer != self.me.peer)
            .collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.ring.version.subscribe()
    }

    fn rtt(&self, peer: PeerId) -> Option<Duration> {
        self.ring.rtts.lock().get(&peer).copied()
    }
}

pub(crate) struct Node {
    pub(crate) contact: Contact,
    pub(crate) map: Arc<Map>,
    pub(crate) handle: Handle<Map>,
    running: JoinHandle<()>,
}

pub(crate) struct Net {
    pub(crate) ring: Arc<Ring>,
    /// Where copies are published, in a net that does so.
    pub(crate) board: Option<Arc<Board>>,
    config: Config,
    pub(crate) nodes: Vec<Node>,
}

/// Short waits, so that what takes long stands out.
pub(crate) fn config() -> Config {
    Config {
        request_timeout: Duration::from_secs(2),
        open_timeout: Duration::from_secs(1),
        avoid_for: Duration::from_secs(5),
        ..Config::default()
    }
}

impl Net {
    pub(crate) async fn start(nodes: usize) -> Net {
        Net::build(nodes, config(), None).await
    }

    /// Nodes with other bounds and times.
    pub(crate) async fn with_config(nodes: usize, config: Config) -> Net {
        Net::build(nodes, config, None).await
    }

    /// Nodes that keep copies of what they get, and publish them.
    pub(crate) async fn with_copies(nodes: usize, config: Config) -> Net {
        Net::build(nodes, config, Some(Arc::default())).await
    }

    async fn build(nodes: usize, config: Config, board: Option<Arc<Board>>) -> Net {
        let mut net = Net {
            board,
            config,
            ring: Arc::new(Ring {
                contacts: Mutex::default(),
                rtts: Mutex::default(),
                lost: Mutex::default(),
                version: watch::Sender::new(0),
            }),
            nodes: Vec::new(),
        };
        for _ in 0..nodes {
            net.add().await;
        }
        net
    }

    /// A node that everybody knows from now on.
    pub(crate) async fn add(&mut self) -> usize {
        let map = Arc::new(Map::default());
        let ring = Arc::clone(&self.ring);
        let kept = Arc::clone(&map);
        let mut handle = None;
        let swarm = Swarm::new_ephemeral_tokio(|key| {
            let peer = key.public().to_peer_id();
            let me = Contact {
                guid: Guid::hash(&peer.to_bytes()),
                peer,
                addrs: Vec::new(),
            };
            let config = self.config.clone();
            let seen = Seen {
                ring,
                me: me.clone(),
            };
            let behaviour = match &self.board {
                None => Behaviour::new(config, kept, seen),
                Some(board) => {
                    let board = Arc::clone(board);
                    let ring = Arc::clone(&self.ring);
                    let me = me.peer;
                    let posted = Posted { board, ring, me };
                    Behaviour::with_directory(config, kept, seen, posted)
                }
            };
            handle = Some(behaviour.handle());
            behaviour
        });
        let (contact, running) = self.run(swarm).await;
        self.nodes.push(Node {
            contact,
            map,
            handle: handle.unwrap(),
            running,
        });
        self.nodes.len() - 1
    }

    /// Runs any swarm as a member of the ring.
    pub(crate) async fn run<B>(&self, mut swarm: Swarm<B>) -> (Contact, JoinHandle<()>)
    where
        B: NetworkBehaviour<ToSwarm: std::fmt::Debug> + Send,
    {
        let (address, _) = swarm.listen().with_memory_addr_external().await;
        let peer = *swarm.local_peer_id();
        let contact = Contact {
            guid: Guid::hash(&peer.to_bytes()),
            peer,
            addrs: vec![address],
        };
        self.ring.change(|contacts| contacts.push(contact.clone()));
        (contact, tokio::spawn(swarm.loop_on_next()))
    }

    /// Kills a node; everybody knows at once.
    pub(crate) fn kill(&mut self, node: usize) -> Node {
        let node = self.nodes.remove(node);
        node.running.abort();
        self.ring
            .change(|contacts| contacts.retain(|contact| contact.peer != node.contact.peer));
        node
    }

    /// Kills a node that everybody still believes to be there.
    pub(crate) fn kill_silently(&mut self, peer: PeerId) {
        self.node(peer).running.abort();
    }

    pub(crate) fn node(&self, peer: PeerId) -> &Node {
        let found = self.nodes.iter().find(|node| node.contact.peer == peer);
        found.unwrap()
    }

    /// The k nodes closest to a key, closest first.
    pub(crate) fn closest(&self, key: Guid, k: usize) -> Vec<&Node> {
        let set = self.ring.closest(key, k);
        set.iter().map(|contact| self.node(contact.peer)).collect()
    }

    /// Some node that is not among the k closest to a key.
    pub(crate) fn outsider(&self, key: Guid, k: usize) -> &Node {
        let set = self.ring.closest(key, k);
        let outside = |node: &&Node| set.iter().all(|contact| contact.peer != node.contact.peer);
        self.nodes.iter().find(outside).unwrap()
    }
}

/// Waits until something holds. The clock stands still while anybody has work to do, so
/// this takes as long as the nodes' own timers take, and no real time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let late = Instant::now() + Duration::from_secs(300);
    while !holds() {
        assert!(Instant::now() < late, "never came true: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
