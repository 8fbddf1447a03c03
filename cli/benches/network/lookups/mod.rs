//! Lookups of our overlay against lookups of libp2p's Kademlia, on the same nodes.
//!
//! Each node is a process with one swarm that carries both, over one connection to every
//! other node. The same program is measurer and node.

mod control;
mod net;
mod node;
mod run;
mod swarm;
mod table;

use std::{collections::BTreeMap, num::NonZeroUsize, time::Duration};

use clap::{Args, ValueEnum};
use libp2p::kad;

use control::{Lookup, Ran, Run, Until};
use net::{Cost, Net};

pub(crate) use node::{Options as NodeOptions, main as run_node};

/// Nodes of a replica set, where the leaf set allows: as many as keep a block.
const REPLICAS: usize = 3;

/// All kinds of lookups, in the order in which a round begins.
const LOOKUPS: [Lookup; 8] = [
    Lookup::ReplicaSet,
    Lookup::Closest,
    Lookup::Request,
    Lookup::GetRecord,
    Lookup::FarReplicaSet,
    Lookup::ClosestFew,
    Lookup::FrugalClosest,
    Lookup::FrugalGetRecord,
];

/// What the nodes are connected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// TCP with noise and yamux
    Tcp,
    /// QUIC
    Quic,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Nodes on the bridge
    #[arg(long, default_value_t = 32)]
    pub(crate) nodes: usize,
    /// Nodes in a leaf set
    #[arg(long, default_value_t = 16)]
    pub(crate) leaf_set: usize,
    /// Connections between the nodes; each is measured on a network of its own
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["tcp", "quic"])]
    pub(crate) transports: Vec<Transport>,
    /// Rounds, in each of which everything is measured; one more before them is not counted
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Lookups by each node, one after the other while all others rest, in a round
    #[arg(long, default_value_t = 16)]
    pub(crate) alone: usize,
    /// Lookups under way at a time on each node, when all look up
    #[arg(long, default_value_t = 16)]
    pub(crate) at_once: usize,
    /// How long all look up in a round
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    pub(crate) busy: Duration,
    /// Records that each node puts
    #[arg(long, default_value_t = 16)]
    pub(crate) records: u64,
    /// Nodes at which Kademlia with its defaults keeps a record; fewer than there are, so
    /// that the others have to ask
    #[arg(long, default_value_t = kad::K_VALUE)]
    pub(crate) copies: NonZeroUsize,
    /// End with an error at the first lookup that fails or finds something else, instead
    /// of counting them
    #[arg(long)]
    pub(crate) strict: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 32,
            leaf_set: 16,
            transports: vec![Transport::Tcp, Transport::Quic],
            rounds: 5,
            alone: 16,
            at_once: 16,
            busy: Duration::from_secs(1),
            records: 16,
            copies: kad::K_VALUE,
            strict: false,
        }
    }
}

/// What one round says of one kind of lookup.
#[derive(Debug)]
struct Round {
    /// One lookup at a time in the whole network.
    alone: Vec<Ran>,
    /// Every node looking up several keys at a time.
    busy: Vec<Ran>,
    /// What the busy part cost all nodes.
    cost: Cost,
}

impl Round {
    fn ran(&self) -> impl Iterator<Item = &Ran> {
        self.alone.iter().chain(&self.busy)
    }
}

type Rounds = BTreeMap<Lookup, Vec<Round>>;

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    for transport in &options.transports {
        let rounds = measure_over(*transport, options).await?;
        table::print(*transport, options, &rounds)?;
    }
    Ok(())
}

async fn measure_over(transport: Transport, options: &Options) -> anyhow::Result<Rounds> {
    let mut net = Net::joined(transport, options).await?;
    let mut rounds = Rounds::new();
    for number in 0..=options.rounds {
        for step in 0..LOOKUPS.len() {
            // Each round begins with another kind, so that none has the better places.
            let lookup = LOOKUPS[(number + step) % LOOKUPS.len()];
            let round = round(&mut net, options, lookup, number).await?;
            if let Some(wrong) = round.ran().find_map(|ran| ran.complaint.as_ref()) {
                anyhow::ensure!(!options.strict, "a lookup failed: {wrong}");
                eprintln!("round {number}: {wrong}");
            }
            // The first fills caches and opens streams.
            if number > 0 {
                rounds.entry(lookup).or_default().push(round);
            }
        }
    }
    Ok(rounds)
}

async fn round(
    net: &mut Net,
    options: &Options,
    lookup: Lookup,
    number: usize,
) -> anyhow::Result<Round> {
    let run = |at_once, until, node: usize| Run {
        lookup,
        at_once,
        until,
        seed: ((number as u64) << 32) | node as u64,
    };
    let mut alone = Vec::new();
    for node in 0..options.nodes {
        let order = run(1, Until::Count(options.alone), node);
        alone.push(net.run(node, order).await?);
    }
    let before = net.cost()?;
    let orders = (0..options.nodes)
        .map(|node| run(options.at_once, Until::Elapsed(options.busy), node))
        .collect();
    let busy = net.run_all(orders).await?;
    let cost = net.cost()?.since(before);
    Ok(Round { alone, busy, cost })
}
