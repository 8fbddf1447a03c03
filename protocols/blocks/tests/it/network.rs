//! Blocks between nodes.

use std::sync::Arc;

use blocks::{Behaviour, FaultyStore, Handle, MemoryStore, Store};
use bytes::Bytes;
use guid::Guid;
use libp2p_swarm::Swarm;
use libp2p_swarm_test::SwarmExt;
use overlay::Contact;
use parking_lot::Mutex;
use replicas::{Config, GetError, Placement, PlacementError};
use tokio::sync::watch;

use crate::support::block;

#[derive(Default)]
struct Ring(Mutex<Vec<Contact>>);

struct Seen {
    ring: Arc<Ring>,
    me: Contact,
    changes: watch::Sender<u64>,
}

#[async_trait::async_trait]
impl Placement for Seen {
    fn me(&self) -> Contact {
        self.me.clone()
    }

    async fn replica_set(&self, key: Guid, k: usize) -> Result<Vec<Contact>, PlacementError> {
        let mut contacts = self.ring.0.lock().clone();
        contacts.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
        contacts.truncate(k);
        Ok(contacts)
    }

    fn local_replica_set(&self, _: Guid, _: usize) -> Option<Vec<Contact>> {
        None
    }

    fn neighbours(&self) -> Vec<Contact> {
        Vec::new()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

async fn node(ring: &Arc<Ring>, store: Arc<dyn Store>) -> Handle {
    let mut handle = None;
    let contact = |peer: libp2p_identity::PeerId, addrs| Contact {
        guid: Guid::hash(&peer.to_bytes()),
        peer,
        addrs,
    };
    let mut swarm = Swarm::new_ephemeral_tokio(|key| {
        let seen = Seen {
            ring: Arc::clone(ring),
            me: contact(key.public().to_peer_id(), Vec::new()),
            changes: watch::Sender::new(0),
        };
        let behaviour = Behaviour::new(Config::default(), store, seen);
        handle = Some(behaviour.handle());
        behaviour
    });
    let (address, _) = swarm.listen().with_memory_addr_external().await;
    let me = contact(*swarm.local_peer_id(), vec![address]);
    ring.0.lock().push(me);
    tokio::spawn(swarm.loop_on_next());
    handle.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_all_sizes_reach_their_replicas_and_come_back() {
    let ring = Arc::default();
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(node(&ring, Arc::new(MemoryStore::new())).await);
    }
    for (seed, length) in [0, 1, 70_000, 1 << 20, 2 << 20].into_iter().enumerate() {
        let block = block(seed as u64, length);
        let receipt = nodes[0].put(block.clone()).await.unwrap();
        assert!(receipt.stored_on.len() >= 2);
        for node in &nodes {
            assert_eq!(&node.get(block.cid()).await.unwrap(), block.bytes());
        }
    }
    let unknown = nodes[1].get(block(99, 10).cid()).await;
    let Err(GetError::NotFound { asked }) = unknown else {
        panic!("{unknown:?}");
    };
    assert_eq!(asked.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupted_block_is_found_and_got_from_a_replica() {
    let ring = Arc::default();
    let faulty = Arc::new(FaultyStore::default());
    let first = node(&ring, Arc::clone(&faulty) as Arc<dyn Store>).await;
    let second = node(&ring, Arc::new(MemoryStore::new())).await;
    let block = block(1, 5000);
    first.put(block.clone()).await.unwrap();
    assert!(second.has(block.cid()).await.unwrap());

    faulty.corrupt(block.cid(), Bytes::from_static(b"rot"));
    assert_eq!(&first.get(block.cid()).await.unwrap(), block.bytes());
    assert_eq!(first.stats().corrupted, 1);
    assert!(
        !first.has(block.cid()).await.unwrap(),
        "the bad copy is gone"
    );
    // The other one does not take the liar's word either.
    assert_eq!(&second.get(block.cid()).await.unwrap(), block.bytes());
}
