//! Hits in the shared web cache: in the local one beside Squid, and at another node. And crowds of
//! clients at one proxy.

mod client;
mod crowd;
mod crowds;
mod local;
mod origin;
mod peers;

pub(crate) use client::{Options as ClientOptions, run as run_client};
pub(crate) use crowd::{Options as CrowdOptions, run as run_crowd};
pub(crate) use crowds::{ConnectionOptions, DownloadOptions, connections, downloads};
pub(crate) use origin::{Options as OriginOptions, run as run_origin};

use std::{env, time::Duration};

use clap::Args;
use lab::Lab;

use crate::net::Net;
use peers::Transport;

/// Where each node's proxy is.
const PROXY: &str = "127.0.0.1:3128";

/// Where the origin is, in the first node's namespace.
const ORIGIN_PORT: u16 = 8000;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Nodes on the bridge
    #[arg(long, default_value_t = 8)]
    pub(crate) nodes: usize,
    /// Objects of 4 KiB, each got by one node and then by another
    #[arg(long, default_value_t = 1000)]
    pub(crate) objects: usize,
    /// Bytes of the large objects
    #[arg(long, default_value_t = 100 << 20)]
    pub(crate) large: usize,
    /// Large objects, and rounds beside Squid
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Seconds for which each round beside Squid asks; 0 leaves it out
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            nodes: 8,
            objects: 1000,
            large: 100 << 20,
            rounds: 5,
            seconds: 5,
        }
    }
}

/// The nodes are one's own, and so is the network that the origin is in.
const FLAGS: [&str; 8] = [
    "--webcache-port",
    "3128",
    "--webcache-peers",
    "all",
    "--webcache-peer-networks",
    "10.77.0.0/24",
    "--webcache-max-mib",
    "4096",
];

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    let net = Net::joined_with(options.nodes, &FLAGS).await?;
    start_origin(&net.lab)?;
    peers::small(&net, options)?;
    if options.seconds > 0 {
        local::measure(&net, options)?;
    }
    drop(net);
    // Left to themselves, nodes take what stands first.
    for transport in [Transport::Tcp, Transport::Quic] {
        let listen = ["--listen", transport.listen()];
        let flags: Vec<&str> = FLAGS.iter().copied().chain(listen).collect();
        let net = Net::joined_with(options.nodes, &flags).await?;
        start_origin(&net.lab)?;
        peers::large(&net, options, transport)?;
    }
    Ok(())
}

fn start_origin(lab: &Lab) -> anyhow::Result<()> {
    let mut command = lab.command(0, env::current_exe()?)?;
    command.args(["web-origin", "--listen", &origin_host(lab)]);
    let origin = lab.spawn_command("origin", command)?;
    origin.wait_line("an origin that listens", PATIENCE, |line| {
        line.contains("listens")
    })?;
    Ok(())
}

/// The origin's host and port.
fn origin_host(lab: &Lab) -> String {
    format!("{}:{ORIGIN_PORT}", lab.ipv4(0, 0))
}
