//! A bad peer that speaks libp2p: TCP, noise and yamux like everybody, a key of its own, and then
//! on each protocol of a node whatever the protocol is not made for.
//!
//! It stands on the transports of libp2p alone, and has no swarm: that would keep rules.

mod connection;
mod frames;
mod ways;

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::bail;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use connection::connect;
use frames::Protocol;
use ways::Way;

/// What became of the streams of one protocol.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    /// Streams on which the node took up the protocol.
    pub(crate) streams: u64,
    /// Bytes that were taken from the bad peer.
    pub(crate) bytes: u64,
}

impl Count {
    fn is_nothing(self) -> bool {
        self.streams == 0 || self.bytes == 0
    }

    fn add(&mut self, other: Count) {
        self.streams += other.streams;
        self.bytes += other.bytes;
    }
}

/// What it did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Connections with noise and yamux, each with a key of its own.
    pub(crate) connections: u64,
    /// What was said, by protocol and way.
    pub(crate) said: BTreeMap<(&'static str, Way), Count>,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.connections += other.connections;
        for (key, count) in &other.said {
            self.said.entry(*key).or_default().add(*count);
        }
    }

    /// All of one protocol.
    fn of(&self, protocol: Protocol) -> Count {
        self.all(|name, _| name == protocol.id())
    }

    /// All in one way.
    fn in_way(&self, way: Way) -> Count {
        self.all(|_, is| is == way)
    }

    fn all(&self, which: impl Fn(&str, Way) -> bool) -> Count {
        let mut all = Count::default();
        for ((name, way), count) in &self.said {
            if which(name, *way) {
                all.add(*count);
            }
        }
        all
    }
}

/// Floods nodes until `deadline` on all protocols in all ways at once: for each of both
/// `connections` at a time to each node, with `streams` at a time on each.
pub(crate) async fn flood(
    nodes: &[IpAddr],
    connections: usize,
    streams: usize,
    chance: &mut ChaCha8Rng,
    deadline: Instant,
) -> anyhow::Result<Tally> {
    let mut tasks = JoinSet::new();
    for node in nodes {
        for protocol in Protocol::ALL {
            for way in Way::ALL {
                for _ in 0..connections {
                    let chance = ChaCha8Rng::from_rng(chance);
                    tasks.spawn(connect(*node, protocol, way, streams, chance, deadline));
                }
            }
        }
    }
    let mut all = Tally::default();
    while let Some(done) = tasks.join_next().await {
        all.add(&done?);
    }
    for protocol in Protocol::ALL {
        if all.of(protocol).is_nothing() {
            bail!("no node has heard anything on {}", protocol.id());
        }
    }
    for way in Way::ALL {
        if all.in_way(way).is_nothing() {
            bail!("no node has heard {way:?} on any protocol");
        }
    }
    Ok(all)
}

/// What it did, in a line for each protocol.
pub(crate) fn lines(tally: &Tally) -> Vec<String> {
    let said = Protocol::ALL.iter().map(|protocol| {
        let Count { streams, bytes } = tally.of(*protocol);
        format!("{}: {streams} streams, {bytes} bytes", protocol.id())
    });
    let first = format!("{} connections of libp2p", tally.connections);
    std::iter::once(first).chain(said).collect()
}
