//! A small object, got from another node.

use std::time::Instant;

use bytes::Bytes;
use clap::Args;
use http::Method;
use node::api::types::{Imported, Pong, Route};

use crate::net::Net;
use crate::report::{Series, heading, row};

/// Bytes of an object.
const SIZE: usize = 4096;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Nodes on the bridge: more than keep a copy
    #[arg(long, default_value_t = 8)]
    pub(crate) nodes: usize,
    /// Objects, each got once by a node that has no copy
    #[arg(long, default_value_t = 500)]
    pub(crate) objects: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 8,
            objects: 500,
        }
    }
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    let net = Net::joined(options.nodes).await?;
    let mut guids = Vec::new();
    for node in 0..options.nodes {
        guids.push(net.status(node).await?.guid);
    }
    let (mut api, mut command, mut pings) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..options.objects {
        let writer = number % options.nodes;
        let put: Imported = net.clients[writer]
            .send_bytes(Method::POST, "/api/v1/objects", content(number))
            .await?;
        let path = format!("/api/v1/overlay/route/{}", put.cid);
        let route: Route = net.clients[writer].get(&path).await?;
        // The writer keeps a copy, and so do the closest nodes.
        let has_copy =
            |node: usize| node == writer || route.closest.iter().any(|one| one.guid == guids[node]);
        let Some(reader) = (0..options.nodes)
            .map(|step| (writer + step) % options.nodes)
            .find(|node| !has_copy(*node))
        else {
            anyhow::bail!(
                "every node has a copy: use more than {} nodes",
                options.nodes
            );
        };

        // Half of the objects over the API, half by the command, which starts a process.
        let begin = Instant::now();
        if number % 2 == 0 {
            let path = format!("/api/v1/objects/{}", put.cid);
            let got = net.clients[reader]
                .call(Method::GET, &path, Bytes::new(), None)
                .await?;
            api.push(millis(begin));
            anyhow::ensure!(got == content(number), "other bytes came back");
        } else {
            let got = net.hedgerow(reader, &["object", "get", &put.cid, "-o", "-"])?;
            command.push(millis(begin));
            anyhow::ensure!(got == content(number), "other bytes came back");
        }

        let path = format!("/api/v1/peers/{}/ping", route.closest[0].peer_id);
        let pong: Pong = net.clients[reader]
            .send_json(Method::POST, &path, &())
            .await?;
        pings.push(pong.rtt_ms);
    }
    heading(
        format_args!(
            "{SIZE} bytes got from another node, {} nodes, {} objects, milliseconds",
            options.nodes, options.objects
        ),
        "what",
    );
    row("over the control API", &Series::new(api)?);
    row("by `hedgerow object get`", &Series::new(command)?);
    row(
        "baseline: libp2p ping to the closest holder",
        &Series::new(pings)?,
    );
    Ok(())
}

fn millis(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1000.0
}

/// Bytes that differ from object to object.
fn content(number: usize) -> Bytes {
    let mut bytes = vec![0x5a; SIZE];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    bytes.into()
}
