//! The instances of a run, each with its node.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use testground::environment::Environment;
use testground::event::Recorder;
use testground::sync;
use tokio::time::Instant;

use crate::hedgerow::{Cli, Node};

/// A leaf set has at most so many members.
const LEAF_SET: usize = 16;

/// How often a node is asked for what only it knows: it tells nobody by itself.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// This instance among the others.
#[derive(Debug)]
pub(crate) struct Team {
    pub(crate) environment: Environment,
    pub(crate) recorder: Recorder,
    pub(crate) sync: sync::Client,
    /// This instance's number: the place of its address among all, so that the same number is
    /// the same node of the lab in each run of a seed.
    pub(crate) number: usize,
    /// Where each instance is, by number.
    pub(crate) addresses: Vec<IpAddr>,
    /// How many of them, the first ones, have a node: all unless a plan says otherwise.
    pub(crate) nodes: usize,
}

/// A node, as the instances know each other's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) number: usize,
    pub(crate) peer_id: String,
}

impl Team {
    /// Waits until all instances are there.
    pub(crate) async fn gather(
        environment: Environment,
        recorder: Recorder,
        sync: sync::Client,
    ) -> anyhow::Result<Team> {
        let own = sync.local_address().context("not on a network")?;
        let mut addresses: Vec<SocketAddr> = sync
            .exchange("addresses", &own, environment.instances)
            .await?;
        addresses.sort();
        let number = addresses.iter().position(|address| *address == own);
        Ok(Team {
            number: number.context("this instance's address is not among those of all")?,
            addresses: addresses.iter().map(SocketAddr::ip).collect(),
            nodes: environment.instances,
            environment,
            recorder,
            sync,
        })
    }

    /// How many instances there are.
    pub(crate) fn size(&self) -> usize {
        self.environment.instances
    }

    /// Chance of this run, the same at each instance.
    pub(crate) fn common_chance(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.environment.seed)
    }

    /// Chance of this run and instance.
    pub(crate) fn own_chance(&self) -> ChaCha8Rng {
        let mut chance = self.common_chance();
        chance.set_stream(self.number as u64 + 1);
        chance
    }

    /// A parameter that is a length of time.
    pub(crate) fn duration(&self, name: &'static str) -> anyhow::Result<Duration> {
        let text: String = self.environment.param(name)?;
        testground::params::duration(&text).map_err(anyhow::Error::msg)
    }

    /// Starts the node of each instance, with the cache that the parameters say, and waits
    /// until all have their neighbours; this one's, and all by number.
    pub(crate) async fn network(&self, within: Duration) -> anyhow::Result<(Node, Vec<Member>)> {
        let cache: u32 = self.environment.param("cache_mib")?;
        let flags = ["--cache-max-mib", &cache.to_string()];
        let mut node = Node::new(&self.environment, &flags);
        let members = self.start(&mut node).await?;
        self.settle(node.cli(), &members, within).await?;
        self.meet("settled").await?;
        Ok((node, members))
    }

    /// Starts the node of each instance; all nodes, by number.
    pub(crate) async fn start(&self, node: &mut Node) -> anyhow::Result<Vec<Member>> {
        node.start().await?;
        self.members(node.cli(), "nodes").await
    }

    /// All nodes, by number; `when` differs each time.
    pub(crate) async fn members(&self, cli: &Cli, when: &str) -> anyhow::Result<Vec<Member>> {
        let id = cli.json(&["node", "id"]).await?;
        let member = Member {
            number: self.number,
            peer_id: text(&id["peer_id"])?,
        };
        let mut members = self.sync.exchange(when, &member, self.nodes).await?;
        members.sort();
        Ok(members)
    }

    /// Waits until all instances have come here.
    pub(crate) async fn meet(&self, place: &str) -> anyhow::Result<()> {
        self.sync.signal_and_wait(place, self.size()).await?;
        Ok(())
    }

    /// Waits until this instance's node has the neighbours that it should have among `alive`:
    /// all others, or as many as a leaf set holds, and nobody else.
    pub(crate) async fn settle(
        &self,
        cli: &Cli,
        alive: &[Member],
        within: Duration,
    ) -> anyhow::Result<()> {
        let others: BTreeSet<&str> = alive
            .iter()
            .filter(|member| member.number != self.number)
            .map(|member| member.peer_id.as_str())
            .collect();
        let deadline = Instant::now() + within;
        loop {
            let set = cli.json(&["overlay", "leafset"]).await?;
            let seen = leaf_set(&set)?;
            let right = seen.iter().all(|peer| others.contains(peer.as_str()))
                && seen.len() == others.len().min(LEAF_SET)
                && set["state"] == "active";
            if right {
                return Ok(());
            }
            if Instant::now() > deadline {
                let strangers = seen.iter().filter(|peer| !others.contains(peer.as_str()));
                bail!(
                    "after {within:?} the node is {}, with {} of {} neighbours and {} that should not be there",
                    set["state"],
                    seen.len(),
                    others.len().min(LEAF_SET),
                    strangers.count()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The peers of a leaf set, each once.
pub(crate) fn leaf_set(set: &Value) -> anyhow::Result<BTreeSet<String>> {
    let mut peers = BTreeSet::new();
    for side in ["smaller", "larger"] {
        for contact in set[side].as_array().context("a leaf set has two sides")? {
            peers.insert(text(&contact["peer_id"])?);
        }
    }
    Ok(peers)
}

/// A JSON string.
pub(crate) fn text(value: &Value) -> anyhow::Result<String> {
    let text = value
        .as_str()
        .with_context(|| format!("{value} is no text"))?;
    Ok(text.to_owned())
}
