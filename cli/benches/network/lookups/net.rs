//! A lab of measured nodes.

use std::time::Duration;

use futures::future::try_join_all;
use lab::Lab;
use tokio::net::UnixStream;

use super::{
    Options, Transport,
    control::{self, Line, Member, Order, Ran, Run},
};

/// Longer than any start takes on a loaded machine: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all nodes have used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) cpu: Duration,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Cost {
    pub(crate) fn since(self, before: Cost) -> Cost {
        Cost {
            cpu: self.cpu - before.cpu,
            packets: self.packets - before.packets,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// Nodes that have joined, and a line to each.
pub(crate) struct Net {
    lab: Lab,
    lines: Vec<Line>,
}

impl Net {
    /// Starts the nodes, connects each to every other, and waits until they have joined
    /// and the records are put.
    pub(crate) async fn joined(transport: Transport, options: &Options) -> anyhow::Result<Self> {
        let listen = match transport {
            Transport::Tcp => "/ip4/{ipv4}/tcp/4001",
            Transport::Quic => "/ip4/{ipv4}/udp/4001/quic-v1",
        };
        let leaf_set = options.leaf_set.to_string();
        let copies = options.copies.to_string();
        let lab = Lab::builder()
            .nodes(options.nodes)
            .ipv4_only()
            .binary(std::env::current_exe()?)
            .args(["lookup-node", "--home", "{home}", "--index", "{index}"])
            .args(["--listen", listen, "--leaf-set", &leaf_set])
            .args(["--copies", &copies])
            .build()?;
        lab.start_all()?;
        let mut lines = Vec::new();
        for node in 0..options.nodes {
            lab.wait_ready(node, PATIENCE)?;
            // A socket is a file, which is the same in every network namespace.
            let stream = UnixStream::connect(control::socket(lab.home(node))).await?;
            lines.push(Line::new(stream));
        }
        let mut net = Self { lab, lines };
        let joined = tokio::time::timeout(PATIENCE, net.join(options));
        joined.await??;
        Ok(net)
    }

    async fn join(&mut self, options: &Options) -> anyhow::Result<()> {
        let members: Vec<Member> = self.order_all(|_| Order::Who).await?;
        // One connection for each pair.
        self.order_all::<()>(|node| Order::Connect(members[..node].to_vec()))
            .await?;
        self.order_all::<()>(|node| {
            let mut others = members.clone();
            others.remove(node);
            Order::Join(others)
        })
        .await?;
        let of = options.nodes as u64;
        let records = of * options.records;
        self.order_all::<()>(|node| Order::Put {
            first: node as u64,
            of,
            records,
        })
        .await?;
        let elsewhere: Vec<usize> = self.order_all(|_| Order::Choose { records }).await?;
        anyhow::ensure!(
            elsewhere.iter().all(|count| *count > 0),
            "a node holds every record itself: put more of them"
        );
        Ok(())
    }

    /// One node looks up.
    pub(crate) async fn run(&mut self, node: usize, run: Run) -> anyhow::Result<Ran> {
        self.lines[node].order(&Order::Run(run)).await
    }

    /// All nodes look up.
    pub(crate) async fn run_all(&mut self, runs: Vec<Run>) -> anyhow::Result<Vec<Ran>> {
        self.order_all(|node| Order::Run(runs[node])).await
    }

    /// What the nodes have used so far.
    pub(crate) fn cost(&self) -> anyhow::Result<Cost> {
        let mut cost = Cost {
            cpu: Duration::ZERO,
            packets: 0,
            bytes: 0,
        };
        for node in 0..self.lab.len() {
            cost.cpu += self.lab.usage(node)?.cpu;
            let traffic = self.lab.traffic(node, 0);
            cost.packets += traffic.sent_packets;
            cost.bytes += traffic.sent_bytes;
        }
        Ok(cost)
    }

    /// An order to each node, all at once.
    async fn order_all<T: serde::de::DeserializeOwned>(
        &mut self,
        order: impl Fn(usize) -> Order,
    ) -> anyhow::Result<Vec<T>> {
        let orders = self.lines.iter_mut().enumerate().map(|(node, line)| {
            let order = order(node);
            async move { line.order(&order).await }
        });
        try_join_all(orders).await
    }
}
