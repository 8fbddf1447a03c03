//! Nodes on the memory transport that put, get and remove.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use dht::{GetError, Handle, Limits, MAX_LIFETIME, MAX_VALUE, MemoryRecords, PutError, Record};
use guid::Guid;
use libp2p_swarm::Swarm;
use libp2p_swarm_test::SwarmExt;
use overlay::Contact;
use replicas::{Config, Placement, PlacementError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::{KEY, NOW, TestClock};

const HOUR: Duration = Duration::from_secs(3_600);

/// Everybody knows everybody.
struct Everybody {
    me: Contact,
    all: Arc<RwLock<Vec<Contact>>>,
}

#[async_trait::async_trait]
impl Placement for Everybody {
    fn me(&self) -> Contact {
        self.me.clone()
    }

    async fn replica_set(&self, key: Guid, k: usize) -> Result<Vec<Contact>, PlacementError> {
        Ok(self.local_replica_set(key, k).unwrap())
    }

    fn local_replica_set(&self, key: Guid, k: usize) -> Option<Vec<Contact>> {
        let mut all = self.all.read().unwrap().clone();
        all.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
        all.truncate(k);
        Some(all)
    }

    fn neighbours(&self) -> Vec<Contact> {
        Vec::new()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        // Its sender is gone, which ends reconciliation: what the tests see is what the
        // handle did.
        watch::channel(0).1
    }
}

struct Net {
    clock: TestClock,
    nodes: Vec<Handle>,
    swarms: Vec<JoinHandle<()>>,
}

async fn net(nodes: usize) -> Net {
    let clock = TestClock::new();
    let all = Arc::new(RwLock::new(Vec::new()));
    let (mut handles, mut swarms) = (Vec::new(), Vec::new());
    for _ in 0..nodes {
        let mut handle = None;
        let mut swarm = Swarm::new_ephemeral_tokio(|keypair| {
            let guid = Guid::of_key(&keypair.public().encode_protobuf());
            let me = Contact {
                guid,
                peer: keypair.public().to_peer_id(),
                addrs: Vec::new(),
            };
            let store = MemoryRecords::new(guid, Limits::default(), Arc::new(clock.clone()));
            let placement = Everybody {
                me: me.clone(),
                all: Arc::clone(&all),
            };
            all.write().unwrap().push(me);
            let (behaviour, new) = dht::new(Config::default(), Arc::new(store), placement, keypair);
            handle = Some(new);
            behaviour
        });
        let (address, _) = swarm.listen().with_memory_addr_external().await;
        all.write().unwrap().last_mut().unwrap().addrs.push(address);
        handles.extend(handle);
        swarms.push(tokio::spawn(swarm.loop_on_next()));
    }
    Net {
        clock,
        nodes: handles,
        swarms,
    }
}

impl Net {
    /// Ends a node without a word to the others.
    async fn kill(&mut self, node: usize) {
        let swarm = &mut self.swarms[node];
        swarm.abort();
        assert!(swarm.await.unwrap_err().is_cancelled());
    }
}

/// The one record under [`KEY`].
async fn only(node: &Handle) -> Record {
    let found = node.get(KEY).await.unwrap();
    assert_eq!((found.records.len(), found.missed), (1, 0));
    found.records.into_iter().next().unwrap()
}

fn value(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[tokio::test]
async fn what_one_node_puts_another_gets() {
    let net = net(5).await;
    let [one, other, ..] = &net.nodes[..] else {
        panic!("there are five");
    };
    let receipt = one.put(KEY, value("first"), HOUR).await.unwrap();
    assert_eq!(receipt.replicas.wanted, 3);
    assert!(receipt.replicas.stored_on.len() >= 2);
    assert_eq!(receipt.record.expires(), NOW + 3_600);
    assert_eq!(only(other).await, receipt.record);

    let second = one.put(KEY, value("second"), HOUR).await.unwrap();
    assert_eq!(second.record.seq(), receipt.record.seq() + 1);
    for node in &net.nodes {
        assert_eq!(only(node).await, second.record);
        let from = node
            .get_from(KEY, receipt.record.publisher())
            .await
            .unwrap();
        assert_eq!(from, second.record);
    }
}

#[tokio::test]
async fn publishers_share_a_key_and_remove_only_their_own() {
    let net = net(4).await;
    let (one, other) = (&net.nodes[0], &net.nodes[1]);
    let ours = one.put(KEY, value("ours"), HOUR).await.unwrap().record;
    let theirs = other.put(KEY, value("theirs"), HOUR).await.unwrap().record;
    assert_eq!(
        one.get(KEY).await.unwrap().records,
        [ours.clone(), theirs.clone()]
    );
    assert_eq!(
        other.get(KEY).await.unwrap().records,
        [theirs.clone(), ours.clone()]
    );

    let removed = one.remove(KEY).await.unwrap().record;
    assert!(removed.is_tombstone());
    assert_eq!(removed.seq(), ours.seq() + 1);
    assert_eq!(removed.expires(), NOW + MAX_LIFETIME);
    for node in &net.nodes {
        assert_eq!(only(node).await, theirs);
        let gone = node.get_from(KEY, ours.publisher()).await;
        assert!(matches!(gone, Err(GetError::Over)));
    }
    // What is removed can be put again, and wins over its tombstone.
    let again = one.put(KEY, value("again"), HOUR).await.unwrap().record;
    assert_eq!(other.get(KEY).await.unwrap().records, [theirs, again]);
}

#[tokio::test]
async fn only_what_is_there_can_be_removed() {
    let net = net(3).await;
    net.nodes[0].put(KEY, value("value"), HOUR).await.unwrap();
    let error = net.nodes[1].remove(KEY).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    net.nodes[0].remove(KEY).await.unwrap();
    let error = net.nodes[0].remove(KEY).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn nothing_found_names_who_was_asked() {
    let net = net(4).await;
    let Err(GetError::NotFound { asked }) = net.nodes[0].get(KEY).await else {
        panic!("something was found");
    };
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn what_expired_is_not_got_and_can_be_put_anew() {
    let net = net(3).await;
    let first = net.nodes[0]
        .put(KEY, value("first"), HOUR)
        .await
        .unwrap()
        .record;
    net.clock.advance(3_600);
    for node in &net.nodes {
        let error = node.get(KEY).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }
    let next = net.nodes[0]
        .put(KEY, value("next"), HOUR)
        .await
        .unwrap()
        .record;
    assert!(next.seq() > first.seq());
    assert_eq!(only(&net.nodes[1]).await, next);
}

#[tokio::test]
async fn a_shorter_record_that_ended_does_not_stand_in_the_way() {
    let net = net(3).await;
    net.nodes[0]
        .put(KEY, value("long"), HOUR * 2)
        .await
        .unwrap();
    net.nodes[0].put(KEY, value("short"), HOUR).await.unwrap();
    net.clock.advance(3_600);
    assert!(net.nodes[1].get(KEY).await.unwrap_err().is_not_found());
    let next = net.nodes[0]
        .put(KEY, value("next"), HOUR)
        .await
        .unwrap()
        .record;
    assert_eq!(only(&net.nodes[1]).await, next);
}

#[tokio::test]
async fn a_replica_that_is_behind_is_brought_up_to_date() {
    let net = net(3).await;
    let old = net.nodes[0]
        .put(KEY, value("old"), HOUR)
        .await
        .unwrap()
        .record;
    let new = net.nodes[0]
        .put(KEY, value("new"), HOUR)
        .await
        .unwrap()
        .record;
    let behind = &net.nodes[1];
    behind.store().discard(old.item()).await.unwrap();
    behind.store().put(old).await.unwrap();
    assert_eq!(only(behind).await, new);
    assert_eq!(behind.store().get(new.item()).await.unwrap(), Some(new));
}

#[tokio::test]
async fn bad_arguments_are_refused_before_anything_is_sent() {
    let net = net(1).await;
    let node = &net.nodes[0];
    for lifetime in [
        Duration::ZERO,
        Duration::from_secs(MAX_LIFETIME + 1),
        Duration::MAX,
    ] {
        let put = node.put(KEY, value("value"), lifetime).await;
        assert!(matches!(put, Err(PutError::Lifetime(_))));
    }
    let put = node
        .put(KEY, Bytes::from(vec![0; MAX_VALUE + 1]), HOUR)
        .await;
    assert!(matches!(put, Err(PutError::Sign(_))));
    assert_eq!(node.store().usage().records, 0);
}

#[tokio::test]
async fn a_node_alone_keeps_its_records_itself() {
    let net = net(1).await;
    let node = &net.nodes[0];
    let largest = Bytes::from(vec![7; MAX_VALUE]);
    let receipt = node.put(KEY, largest.clone(), HOUR).await.unwrap();
    assert_eq!(receipt.replicas.wanted, 1);
    assert_eq!(
        receipt.replicas.stored_on,
        [receipt.record.publisher_peer()]
    );
    assert_eq!(
        node.get(KEY).await.unwrap().records[0].value(),
        Some(&largest)
    );
}

#[tokio::test]
async fn writers_of_one_node_take_turns() {
    let net = net(3).await;
    let node = &net.nodes[0];
    let puts = (0..8).map(|number| node.put(KEY, value(&number.to_string()), HOUR));
    let receipts: Vec<_> = futures::future::try_join_all(puts).await.unwrap();
    let mut seqs: Vec<u64> = receipts
        .iter()
        .map(|receipt| receipt.record.seq())
        .collect();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 8);
    let newest = receipts
        .iter()
        .max_by_key(|receipt| receipt.record.seq())
        .unwrap();
    assert_eq!(only(&net.nodes[2]).await, newest.record);
}

#[tokio::test]
async fn a_majority_is_enough_and_less_is_not() {
    let mut net = net(3).await;
    net.nodes[0].put(KEY, value("first"), HOUR).await.unwrap();
    net.kill(2).await;
    let second = net.nodes[0].put(KEY, value("second"), HOUR).await.unwrap();
    assert_eq!(second.replicas.stored_on.len(), 2);
    assert_eq!(only(&net.nodes[1]).await, second.record);

    net.kill(1).await;
    let third = net.nodes[0].put(KEY, value("third"), HOUR).await;
    assert!(matches!(
        third,
        Err(PutError::Replicas(replicas::PutError::NoQuorum { .. }))
    ));
    // Nobody can say that there is nothing under another key.
    let error = net.nodes[0].get(Guid::new(7)).await.unwrap_err();
    assert!(!error.is_not_found(), "{error}");
}
