//! From nothing to a network.

use std::time::Instant;

use clap::Args;
use futures::future::try_join_all;

use crate::net::Net;
use crate::report::{Series, heading, row};

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Nodes on the bridge
    #[arg(long, default_value_t = 8)]
    pub(crate) nodes: usize,
    /// How often the network is started, each time in new homes
    #[arg(long, default_value_t = 20)]
    pub(crate) starts: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 8,
            starts: 20,
        }
    }
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    let (mut last, mut each, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.starts {
        let joined = start(options.nodes).await?;
        last.push(joined.iter().copied().fold(0.0, f64::max));
        each.extend(joined);
        // The baseline: a node that finds nobody, and so has nobody to join.
        alone.extend(start(1).await?);
    }
    heading(
        format_args!(
            "Start to joined, {} nodes started at once, {} starts, seconds",
            options.nodes, options.starts
        ),
        "what",
    );
    row("the last node has all its neighbours", &Series::new(last)?);
    row("each node has", &Series::new(each)?);
    row("baseline: one node alone is active", &Series::new(alone)?);
    Ok(())
}

/// Starts a network; how long each node took.
async fn start(nodes: usize) -> anyhow::Result<Vec<f64>> {
    let net = Net::new(nodes)?;
    let begin = Instant::now();
    net.lab.start_all()?;
    let waits = (0..nodes).map(|node| net.until_joined(node));
    let joined = try_join_all(waits).await?;
    Ok(joined
        .into_iter()
        .map(|at| at.duration_since(begin).as_secs_f64())
        .collect())
}
