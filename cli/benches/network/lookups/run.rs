//! Lookups of one kind by one node, timed and checked.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use guid::Guid;
use libp2p::{PeerId, kad};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

use super::{
    control::{Lookup, Ran, Run, Until},
    node::{Node, STORE, record_key, record_value},
    swarm::{Found, Network, Query},
};

/// Keys drawn at most for one that this node has to ask about: where a leaf set names half
/// of all nodes, one in two is.
const DRAWS: usize = 1000;

/// Bytes of a key that names nothing.
const KEY: usize = 32;

/// What is looked up.
#[derive(Clone, Debug)]
enum Target {
    Key(Vec<u8>),
    Record(u64),
}

impl Target {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Target::Key(key) => key.clone(),
            Target::Record(number) => record_key(*number),
        }
    }
}

/// What came back: an answer and the steps it took.
type Answered = Result<(Answer, u64), String>;

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Peers(Vec<PeerId>),
    Value(Bytes),
}

pub(crate) async fn run(node: &Arc<Node>, order: Run) -> anyhow::Result<Ran> {
    let expected = Arc::new(Expected::new(node));
    let mut workers = JoinSet::new();
    let changes = node.overlay.changes();
    let changed = *changes.borrow();
    let begin = Instant::now();
    for worker in 0..order.at_once {
        let random = ChaCha8Rng::seed_from_u64(order.seed ^ ((worker as u64) << 48));
        workers.spawn(work(
            Arc::clone(node),
            Arc::clone(&expected),
            order,
            random,
            begin,
        ));
    }
    let mut all = Ran::default();
    while let Some(worker) = workers.join_next().await {
        let ran = worker??;
        all.nanos.extend(ran.nanos);
        all.alone += ran.alone;
        all.steps += ran.steps;
        all.failed += ran.failed;
        all.complaint = all.complaint.or(ran.complaint);
    }
    all.seconds = begin.elapsed().as_secs_f64();
    all.changes = *changes.borrow() - changed;
    Ok(all)
}

/// One lookup after the other.
async fn work(
    node: Arc<Node>,
    expected: Arc<Expected>,
    order: Run,
    mut random: ChaCha8Rng,
    begin: Instant,
) -> anyhow::Result<Ran> {
    let mut ran = Ran::default();
    loop {
        let over = match order.until {
            Until::Count(count) => ran.nanos.len() >= count,
            Until::Elapsed(time) => begin.elapsed() >= time,
        };
        if over {
            return Ok(ran);
        }
        let (target, alone) = draw(&node, order.lookup, &mut random)?;
        let (answered, took) = timed(&node, order.lookup, &target).await;
        ran.nanos.push(u64::try_from(took.as_nanos())?);
        ran.alone += u64::from(alone);
        let right = expected.answer(order.lookup, &target);
        match answered {
            Ok((answer, steps)) if answer == right => ran.steps += steps,
            other => {
                ran.failed += 1;
                ran.complaint.get_or_insert_with(|| {
                    format!(
                        "{:?} {target:?} after {took:?}: {other:?}, not {right:?}",
                        order.lookup
                    )
                });
            }
        }
    }
}

/// A target, and whether this node answers by itself.
fn draw(node: &Node, lookup: Lookup, random: &mut ChaCha8Rng) -> anyhow::Result<(Target, bool)> {
    if matches!(
        lookup,
        Lookup::Request | Lookup::GetRecord | Lookup::FrugalGetRecord
    ) {
        let count = u64::try_from(node.elsewhere.len())?;
        let index = random
            .next_u64()
            .checked_rem(count)
            .context("this node holds every record itself")?;
        return Ok((
            Target::Record(node.elsewhere[usize::try_from(index)?]),
            false,
        ));
    }
    for _ in 0..DRAWS {
        let mut key = vec![0; KEY];
        random.fill_bytes(&mut key);
        let ours = matches!(lookup, Lookup::ReplicaSet | Lookup::FarReplicaSet);
        let alone = ours
            && node
                .overlay
                .local_replica_set(Guid::hash(&key), node.replicas)
                .is_some();
        if !(alone && lookup == Lookup::FarReplicaSet) {
            return Ok((Target::Key(key), alone));
        }
    }
    anyhow::bail!("this node answers everything by itself: use more nodes")
}

async fn timed(node: &Node, lookup: Lookup, target: &Target) -> (Answered, Duration) {
    let bytes = target.bytes();
    match lookup {
        Lookup::ReplicaSet | Lookup::FarReplicaSet => {
            let key = Guid::hash(&bytes);
            let begin = Instant::now();
            let found = node.overlay.replica_set(key, node.replicas).await;
            let took = begin.elapsed();
            let found = found.map_err(|error| error.to_string()).map(|set| {
                let peers = set.into_iter().map(|contact| contact.peer).collect();
                (Answer::Peers(peers), 0)
            });
            (found, took)
        }
        Lookup::Request => {
            let key = Guid::hash(&bytes);
            let begin = Instant::now();
            let found = node.overlay.request(key, STORE, Bytes::new()).await;
            let took = begin.elapsed();
            let found = found
                .map_err(|error| error.to_string())
                .map(|reply| (Answer::Value(reply.payload), reply.hops as u64));
            (found, took)
        }
        Lookup::Closest => kademlia(node, Network::Usual, closest(bytes, kad::K_VALUE.get())).await,
        Lookup::ClosestFew => kademlia(node, Network::Usual, closest(bytes, node.replicas)).await,
        Lookup::FrugalClosest => kademlia(node, Network::Frugal, closest(bytes, 1)).await,
        Lookup::GetRecord => kademlia(node, Network::Usual, get(&bytes)).await,
        Lookup::FrugalGetRecord => kademlia(node, Network::Frugal, get(&bytes)).await,
    }
}

fn closest(key: Vec<u8>, count: usize) -> Query {
    let count = NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
    Query::Closest { key, count }
}

fn get(key: &[u8]) -> Query {
    Query::Get(kad::RecordKey::new(&key))
}

async fn kademlia(node: &Node, network: Network, query: Query) -> (Answered, Duration) {
    let begin = Instant::now();
    let found = node.swarm.query(network, query).await;
    let took = begin.elapsed();
    let found = found.and_then(|(found, requests)| match found {
        Found::Peers(peers) => Ok((Answer::Peers(peers), requests)),
        Found::Value(value) => Ok((Answer::Value(value.into()), requests)),
        Found::Done => Err("an answer of another kind".to_owned()),
    });
    (found, took)
}

/// Who knows everybody knows every answer.
struct Expected {
    /// All nodes on our ring.
    ring: Vec<(Guid, PeerId)>,
    /// The others, as Kademlia sees them: nobody finds itself.
    others: Vec<kad::KBucketKey<PeerId>>,
    replicas: usize,
}

impl Expected {
    fn new(node: &Node) -> Self {
        let me = node.overlay.me().peer;
        let all = node.others.iter().chain([&me]);
        Self {
            ring: all
                .map(|peer| (overlay::guid_of_peer(peer), *peer))
                .collect(),
            others: node.others.iter().copied().map(Into::into).collect(),
            replicas: node.replicas,
        }
    }

    fn answer(&self, lookup: Lookup, target: &Target) -> Answer {
        match (lookup, target) {
            (_, Target::Record(number)) => Answer::Value(record_value(*number).into()),
            (Lookup::ReplicaSet | Lookup::FarReplicaSet, Target::Key(key)) => {
                Answer::Peers(self.replica_set(Guid::hash(key)))
            }
            (Lookup::FrugalClosest, Target::Key(key)) => Answer::Peers(self.closest(key, 1)),
            (Lookup::ClosestFew, Target::Key(key)) => {
                Answer::Peers(self.closest(key, self.replicas))
            }
            (_, Target::Key(key)) => Answer::Peers(self.closest(key, kad::K_VALUE.get())),
        }
    }

    fn replica_set(&self, key: Guid) -> Vec<PeerId> {
        let mut ring: Vec<&(Guid, PeerId)> = self.ring.iter().collect();
        ring.sort_by(|a, b| key.cmp_distance(a.0, b.0));
        let closest = ring.into_iter().take(self.replicas);
        closest.map(|(_, peer)| *peer).collect()
    }

    fn closest(&self, key: &[u8], count: usize) -> Vec<PeerId> {
        let target = kad::KBucketKey::new(key.to_vec());
        let mut others: Vec<&kad::KBucketKey<PeerId>> = self.others.iter().collect();
        others.sort_by_cached_key(|peer| peer.distance(&target));
        let closest = others.into_iter().take(count);
        closest.map(|peer| *peer.preimage()).collect()
    }
}
