//! How the measurement talks to its nodes: a line of JSON each way on a Unix socket.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A kind of lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Lookup {
    /// Ours: the replica set of any key.
    ReplicaSet,
    /// Ours: the replica set of a key that the asker has to ask somebody about.
    FarReplicaSet,
    /// Ours: a value that another node, the root of its key, holds.
    Request,
    /// Kademlia with its defaults: the 20 nodes closest to a key.
    Closest,
    /// Kademlia with its defaults, asked for as many nodes as a replica set has.
    ClosestFew,
    /// Kademlia with its defaults: a value that other nodes hold.
    GetRecord,
    /// Kademlia that asks one node at a time: the node closest to a key.
    FrugalClosest,
    /// Kademlia that asks one node at a time: a value that other nodes hold.
    FrugalGetRecord,
}

/// How long a run goes on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Until {
    /// So many lookups by each of those at work.
    Count(usize),
    /// Lookups begin for so long.
    Elapsed(Duration),
}

/// Lookups of one kind.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) lookup: Lookup,
    /// Lookups under way at a time.
    pub(crate) at_once: usize,
    pub(crate) until: Until,
    /// Chooses the keys.
    pub(crate) seed: u64,
}

/// A node as the others have to know it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) peer: PeerId,
    pub(crate) address: Multiaddr,
}

/// What a node is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Say who you are. Answered by [`Member`].
    Who,
    /// Connect to these. Answered by nothing, when it is done.
    Connect(Vec<Member>),
    /// Join the others on the overlay and in Kademlia. Answered by nothing, when the leaf
    /// set is what it has to be and Kademlia has filled its tables.
    Join(Vec<Member>),
    /// Put your share of the records: each `of`-th, from `first` on. Answered by nothing.
    Put { first: u64, of: u64, records: u64 },
    /// See which of the records others hold. Answered by their number.
    Choose { records: u64 },
    /// Look up. Answered by [`Ran`].
    Run(Run),
}

/// What came of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ran {
    /// How long each lookup took, nanoseconds.
    pub(crate) nanos: Vec<u64>,
    /// From the first's start to the last's end, seconds.
    pub(crate) seconds: f64,
    /// Lookups answered without asking anybody.
    pub(crate) alone: u64,
    /// Ours: hops of those whose hops are known. Kademlia: requests sent until the answer.
    pub(crate) steps: u64,
    /// Lookups without an answer, or with a wrong one.
    pub(crate) failed: u64,
    /// The first of those.
    pub(crate) complaint: Option<String>,
    /// Changes of this node's leaf set meanwhile. As nobody comes or goes, each says that
    /// somebody was taken for dead or came back.
    pub(crate) changes: u64,
}

/// Where a node listens for orders.
pub(crate) fn socket(home: &Path) -> PathBuf {
    home.join("orders")
}

/// One end of a connection.
pub(crate) struct Line {
    read: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
}

impl Line {
    pub(crate) fn new(stream: UnixStream) -> Self {
        let (read, write) = stream.into_split();
        Self {
            read: BufReader::new(read).lines(),
            write,
        }
    }

    pub(crate) async fn send<T: Serialize>(&mut self, value: &T) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        Ok(self.write.write_all(&line).await?)
    }

    /// The next value; `None` at the end.
    pub(crate) async fn receive<T: DeserializeOwned>(&mut self) -> anyhow::Result<Option<T>> {
        let Some(line) = self.read.next_line().await? else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_str(&line)?))
    }

    /// Sends an order and waits for what it is answered by, or for why it failed.
    pub(crate) async fn order<T: DeserializeOwned>(&mut self, order: &Order) -> anyhow::Result<T> {
        self.send(order).await?;
        let answer: Result<T, String> = self.receive().await?.context("the node has ended")?;
        answer.map_err(anyhow::Error::msg)
    }
}
