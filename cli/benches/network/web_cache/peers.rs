//! Hits at another node.

use anyhow::Context;

use super::{Options, client, origin_host};
use crate::{
    net::Net,
    report::{Series, heading, row},
};

/// Bytes of a small object.
const SMALL: usize = 4096;

/// Large objects that are tried for each that is wanted.
const TRIES: usize = 20;

/// Each small object is got by one node, which has its home keep it, and then by the next node.
pub(super) fn small(net: &Net, options: &Options) -> anyhow::Result<()> {
    let (mut hits, mut local) = (Vec::new(), Vec::new());
    for first in 0..options.nodes {
        let of_first = (0..options.objects).filter(|number| number % options.nodes == first);
        let urls: Vec<String> = of_first.map(|number| url(net, SMALL, number)).collect();
        client::ask(&net.lab, first, &urls)?;
        let second = (first + 1) % options.nodes;
        let got = client::ask(&net.lab, second, &urls)?;
        let at_peers = got.iter().filter(|got| is_peer_hit(&got.cache_status));
        hits.extend(at_peers.map(|got| got.micros / 1000.0));
        let again = client::ask(&net.lab, second, &urls)?;
        local.extend(again.iter().map(|got| got.micros / 1000.0));
    }
    heading(
        format_args!(
            "{SMALL} bytes through a node's web cache, {} nodes, {} hits at another node, milliseconds",
            options.nodes,
            hits.len()
        ),
        "what",
    );
    row("a hit at another node", &Series::new(hits)?);
    row(
        "baseline: the same again, a hit in the own cache",
        &Series::new(local)?,
    );
    Ok(())
}

/// A transport that nodes may have between them.
#[derive(Clone, Copy)]
pub(super) enum Transport {
    Tcp,
    Quic,
}

impl Transport {
    /// Where a node listens that has no other.
    pub(super) fn listen(self) -> &'static str {
        match self {
            Transport::Tcp => "/ip4/0.0.0.0/tcp/4747",
            Transport::Quic => "/ip4/0.0.0.0/udp/4747/quic-v1",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Quic => "quic",
        }
    }
}

/// A large object over a transport, and one stream of libp2p over the same beside it.
pub(super) fn large(net: &Net, options: &Options, transport: Transport) -> anyhow::Result<()> {
    let mut rates = Vec::new();
    let mut raw = Vec::new();
    // Some objects' home is the reader itself.
    for number in 0..options.rounds * TRIES {
        if rates.len() == options.rounds {
            break;
        }
        let urls = [url(net, options.large, number)];
        let (first, second) = (number % options.nodes, (number + 1) % options.nodes);
        client::ask(&net.lab, first, &urls)?;
        for got in client::ask(&net.lab, second, &urls)? {
            if is_peer_hit(&got.cache_status) {
                rates.push(got.bytes as f64 / (1 << 20) as f64 / (got.micros / 1e6));
                // In turn, so that what else the machine does is the same for both.
                raw.extend(net.raw_stream(transport.name(), options.large as u64, 1)?);
            }
        }
    }
    let rates = Series::new(rates).context("no object was got from another node")?;
    let raw = Series::new(raw)?;
    let name = transport.name();
    heading(
        format_args!(
            "{} MiB from another node's web cache over {name}, MiB a second",
            options.large >> 20
        ),
        "what",
    );
    row("a hit at another node", &rates);
    row(
        format_args!("baseline: one stream of libp2p over {name}, in one process over loopback"),
        &raw,
    );
    println!(
        "\nRatio of the medians: {:.2}.",
        rates.quantile(0.5) / raw.quantile(0.5)
    );
    Ok(())
}

fn is_peer_hit(cache_status: &str) -> bool {
    cache_status.starts_with("hedgerow-peer; hit")
}

fn url(net: &Net, size: usize, number: usize) -> String {
    format!("http://{}/{size}/{number}", origin_host(&net.lab))
}
