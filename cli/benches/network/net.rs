//! A lab of nodes and clients that talk to them.

use std::time::{Duration, Instant};

use anyhow::Context;
use cli::client::Client;
use lab::Lab;
use node::{api::types::NodeStatus, home::Home};
use serde_json::Value;

/// The program that is measured.
pub(crate) const HEDGEROW: &str = env!("CARGO_BIN_EXE_hedgerow");

/// Longer than any start takes on a loaded machine: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a node is asked how it is, for each node there is: often enough for a figure of
/// a few hundred milliseconds, rarely enough to cost the nodes nothing.
const LOOK_A_NODE: Duration = Duration::from_millis(1);

/// Nodes on one bridge.
pub(crate) struct Net {
    pub(crate) lab: Lab,
    pub(crate) clients: Vec<Client>,
}

impl Net {
    /// Makes the network; nobody is started.
    pub(crate) fn new(nodes: usize) -> anyhow::Result<Self> {
        Self::with_flags(nodes, &[])
    }

    fn with_flags(nodes: usize, flags: &[&str]) -> anyhow::Result<Self> {
        let lab = Lab::builder()
            .nodes(nodes)
            .binary(HEDGEROW)
            .args(["--home", "{home}", "node", "start"])
            .args(flags.iter().copied())
            .build()?;
        // The control sockets are files, which are the same in every network namespace.
        let clients = (0..nodes)
            .map(|node| Client::new(Home::at(lab.home(node))))
            .collect();
        Ok(Self { lab, clients })
    }

    /// Makes the network, starts every node, and waits until each has joined.
    pub(crate) async fn joined(nodes: usize) -> anyhow::Result<Self> {
        Self::joined_with(nodes, &[]).await
    }

    /// The same with more flags.
    pub(crate) async fn joined_with(nodes: usize, flags: &[&str]) -> anyhow::Result<Self> {
        let net = Self::with_flags(nodes, flags)?;
        net.lab.start_all()?;
        for node in 0..nodes {
            net.until_joined(node).await?;
        }
        Ok(net)
    }

    /// Waits until a node is active and has as many others in its leaf set as it takes;
    /// says when.
    pub(crate) async fn until_joined(&self, node: usize) -> anyhow::Result<Instant> {
        let nodes = self.lab.len();
        let others = overlay::Config::default().pastry.leaf_set.min(nodes - 1);
        let look = LOOK_A_NODE * u32::try_from(nodes)?;
        let begin = Instant::now();
        loop {
            // Before it listens there is nobody to ask.
            if let Ok(status) = self.status(node).await
                && status.overlay == "active"
                && status.leaf_set == others
            {
                return Ok(Instant::now());
            }
            anyhow::ensure!(
                begin.elapsed() < PATIENCE,
                "node {node} has not joined {others} others within {PATIENCE:?}"
            );
            tokio::time::sleep(look).await;
        }
    }

    pub(crate) async fn status(&self, node: usize) -> anyhow::Result<NodeStatus> {
        Ok(self.clients[node].get("/api/v1/node").await?)
    }

    /// Runs `hedgerow` beside a node; it has to succeed. Returns what it printed.
    pub(crate) fn hedgerow(&self, node: usize, args: &[&str]) -> anyhow::Result<Vec<u8>> {
        let home = self.lab.home(node).to_str().context("the home's path")?;
        let all = ["--home", home, "--no-progress"]
            .into_iter()
            .chain(args.iter().copied());
        let output = self.lab.output(node, HEDGEROW, all)?;
        anyhow::ensure!(
            output.status.success(),
            "hedgerow {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    }

    /// The baseline of what is moved: one stream of libp2p over `tcp` or `quic`, in one process
    /// over loopback, without framing or hashing; MiB a second, of each run.
    pub(crate) fn raw_stream(
        &self,
        transport: &str,
        size: u64,
        runs: usize,
    ) -> anyhow::Result<Vec<f64>> {
        let (size, runs) = (size.to_string(), runs.to_string());
        let args = ["--json", "bench", "transfer", "--transport", transport];
        let args = args.into_iter().chain(["--size", &size, "--runs", &runs]);
        let said = self.hedgerow(0, &args.collect::<Vec<_>>())?;
        let report: Value = serde_json::from_slice(&said)?;
        let lines = report["results"].as_array().context("a report's results")?;
        let line = lines.iter().find(|line| line["what"] == "raw_stream");
        let rates = line.and_then(|line| line["runs"].as_array());
        let rates = rates.context("runs of raw_stream")?.iter();
        Ok(rates.filter_map(Value::as_f64).collect())
    }
}
