//! What nodes use that have nothing to do.

use std::time::{Duration, Instant};

use clap::Args;

use crate::net::Net;
use crate::report::{Series, heading, mib, row};

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Nodes on the bridge: one more than each has neighbours
    #[arg(long, default_value_t = 9)]
    pub(crate) nodes: usize,
    /// Rest before the measurement, so that joining is over
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) settle: Duration,
    /// How long they are watched
    #[arg(long, default_value = "120s", value_parser = humantime::parse_duration)]
    pub(crate) watch: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 9,
            settle: Duration::from_secs(30),
            watch: Duration::from_secs(120),
        }
    }
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    let net = Net::joined(options.nodes).await?;
    tokio::time::sleep(options.settle).await;
    let look = |node| anyhow::Ok((net.lab.usage(node)?, net.lab.traffic(node, 0)));
    let nodes = 0..options.nodes;
    let before = nodes.clone().map(look).collect::<Result<Vec<_>, _>>()?;
    let begin = Instant::now();
    tokio::time::sleep(options.watch).await;
    let after = nodes.map(look).collect::<Result<Vec<_>, _>>()?;
    let seconds = begin.elapsed().as_secs_f64();

    let (mut cpu, mut memory, mut sent, mut received) = (vec![], vec![], vec![], vec![]);
    for ((usage, traffic), (usage_after, traffic_after)) in before.iter().zip(&after) {
        cpu.push((usage_after.cpu - usage.cpu).as_secs_f64() / seconds * 100.0);
        memory.push(mib(usage_after.resident));
        let rate = |before: u64, after: u64| (after - before) as f64 / seconds / 1000.0;
        sent.push(rate(traffic.sent_bytes, traffic_after.sent_bytes));
        received.push(rate(traffic.received_bytes, traffic_after.received_bytes));
    }
    heading(
        format_args!(
            "{} idle nodes on one bridge, watched for {}",
            options.nodes,
            humantime::format_duration(options.watch)
        ),
        "a node",
    );
    row("processor, % of a core", &Series::new(cpu)?);
    row("resident memory, MiB", &Series::new(memory)?);
    row("sent, kB/s", &Series::new(sent)?);
    row("received, kB/s", &Series::new(received)?);
    Ok(())
}
