//! A measured node: one swarm that carries our overlay and Kademlia, under orders.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use guid::Guid;
use libp2p::{Multiaddr, PeerId, identity::Keypair, kad};
use overlay::{AppConfig, AppId, Upcall, Upcalls};
use tokio::net::UnixListener;

use super::{
    control::{self, Line, Member, Order},
    run,
    swarm::{self, Handle, Network, Query},
};

/// The application that holds values at the roots of their keys.
pub(crate) const STORE: AppId = AppId(1000);

/// Bytes of a value.
const VALUE: usize = 100;

/// Nobody waits so long for company: the nodes are told of each other.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Where the socket for orders is made
    #[arg(long)]
    home: PathBuf,
    /// The address to listen on
    #[arg(long)]
    listen: Multiaddr,
    /// Nodes in the leaf set
    #[arg(long)]
    leaf_set: usize,
    /// Nodes at which Kademlia with its defaults keeps a record
    #[arg(long)]
    copies: NonZeroUsize,
    /// The node's number: the first one begins the overlay, the others join it
    #[arg(long)]
    index: usize,
}

/// What a run needs of the node.
pub(crate) struct Node {
    pub(crate) overlay: overlay::Handle,
    pub(crate) swarm: Handle,
    /// Everybody else.
    pub(crate) others: Vec<PeerId>,
    /// Records that only other nodes hold.
    pub(crate) elsewhere: Vec<u64>,
    /// Nodes of a replica set.
    pub(crate) replicas: usize,
}

type Values = Arc<Mutex<HashMap<Guid, Bytes>>>;

/// Follows orders until whoever gives them has gone.
pub(crate) async fn main(options: Options) -> anyhow::Result<()> {
    node::init_logging(0);
    let keypair = Keypair::generate_ed25519();
    let mut config = overlay::Config::default();
    config.pastry.leaf_set = options.leaf_set;
    if options.index > 0 {
        config.pastry.lonely_wait = PATIENCE;
    }
    config.validate()?;
    let replicas = super::REPLICAS.min(options.leaf_set / 2);
    let overlay = overlay::Behaviour::new(config, &keypair);
    let handle = overlay.handle();
    let values = Values::default();
    let upcalls = handle.register(STORE, AppConfig::default());
    tokio::spawn(serve(upcalls, Arc::clone(&values)));
    let me = Member {
        peer: keypair.public().to_peer_id(),
        address: options.listen.clone(),
    };
    let mut node = Node {
        swarm: swarm::start(&keypair, overlay, options.listen, options.copies)?,
        overlay: handle,
        others: Vec::new(),
        elsewhere: Vec::new(),
        replicas,
    };
    let listener = UnixListener::bind(control::socket(&options.home))?;
    println!("READY=1");
    let (stream, _) = listener.accept().await?;
    let mut line = Line::new(stream);
    while let Some(order) = line.receive().await? {
        match order {
            Order::Who => answer(&mut line, Ok(&me)).await?,
            Order::Connect(members) => {
                let done = node.swarm.connect(members).await;
                answer(&mut line, done).await?;
            }
            Order::Join(members) => {
                let done = join(&mut node, members, options.leaf_set).await;
                answer(&mut line, done).await?;
            }
            Order::Put { first, of, records } => {
                let done = put(&node, first, of, records).await;
                answer(&mut line, done).await?;
            }
            Order::Choose { records } => {
                let chosen = choose(&mut node, &values, records).await;
                answer(&mut line, chosen).await?;
            }
            Order::Run(order) => {
                let shared = Arc::new(node);
                let ran = run::run(&shared, order).await;
                node = Arc::into_inner(shared).context("a lookup still runs")?;
                answer(&mut line, ran).await?;
            }
        }
    }
    Ok(())
}

async fn answer<T: serde::Serialize>(
    line: &mut Line,
    result: anyhow::Result<T>,
) -> anyhow::Result<()> {
    line.send(&result.map_err(|error| format!("{error:#}")))
        .await
}

/// Holds values: a message with bytes puts them under its key, an empty one gets them.
async fn serve(mut upcalls: Upcalls, values: Values) {
    while let Some(upcall) = upcalls.next().await {
        let Upcall::Deliver(delivery) = upcall else {
            continue;
        };
        let value = {
            let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
            if delivery.payload.is_empty() {
                values.get(&delivery.key).cloned()
            } else {
                values.insert(delivery.key, delivery.payload);
                Some(Bytes::new())
            }
        };
        // Without a value the responder is dropped, which refuses.
        if let (Some(responder), Some(value)) = (delivery.responder, value) {
            let _ = responder.reply(value).await;
        }
    }
}

async fn join(node: &mut Node, members: Vec<Member>, leaf_set: usize) -> anyhow::Result<()> {
    node.others = members.iter().map(|member| member.peer).collect();
    node.swarm.join(members).await?;
    node.overlay.active().await;
    let me = node.overlay.me().guid;
    let wanted = wanted_leafs(me, &node.others, leaf_set);
    let mut changes = node.overlay.changes();
    loop {
        let snapshot = node.overlay.snapshot();
        let leafs = snapshot.leaf_set.contacts().map(|contact| contact.guid);
        if leafs.collect::<BTreeSet<_>>() == wanted {
            break;
        }
        changes.changed().await?;
    }
    for network in [Network::Usual, Network::Frugal] {
        node.swarm
            .query(network, Query::Bootstrap)
            .await
            .map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

/// Half of the leaf set on either side of the ring.
fn wanted_leafs(me: Guid, others: &[PeerId], leaf_set: usize) -> BTreeSet<Guid> {
    let mut ring: Vec<Guid> = others.iter().map(overlay::guid_of_peer).collect();
    // Clockwise from this node.
    ring.sort_by_key(|guid| me.clockwise_to(*guid));
    let side = (leaf_set / 2).min(ring.len());
    let (larger, smaller) = (&ring[..side], &ring[ring.len() - side..]);
    larger.iter().chain(smaller).copied().collect()
}

async fn put(node: &Node, first: u64, of: u64, records: u64) -> anyhow::Result<()> {
    let of = usize::try_from(of)?;
    let others = NonZeroUsize::new(node.others.len()).context("a node alone")?;
    for number in (first..records).step_by(of) {
        let (key, value) = (record_key(number), record_value(number));
        node.overlay
            .request(Guid::hash(&key), STORE, Bytes::from(value.clone()))
            .await?;
        let record = kad::Record::new(key, value);
        for network in [Network::Usual, Network::Frugal] {
            node.swarm
                .query(network, Query::Put(record.clone(), others))
                .await
                .map_err(anyhow::Error::msg)?;
        }
    }
    Ok(())
}

async fn choose(node: &mut Node, values: &Values, records: u64) -> anyhow::Result<usize> {
    for number in 0..records {
        let key = record_key(number);
        let held = values
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&Guid::hash(&key));
        if !held && !node.swarm.holds(kad::RecordKey::new(&key)).await? {
            node.elsewhere.push(number);
        }
    }
    Ok(node.elsewhere.len())
}

/// The name of a record; both overlays make their keys of it.
pub(crate) fn record_key(number: u64) -> Vec<u8> {
    format!("record {number}").into_bytes()
}

/// What a record holds.
pub(crate) fn record_value(number: u64) -> Vec<u8> {
    number
        .to_le_bytes()
        .into_iter()
        .cycle()
        .take(VALUE)
        .collect()
}
