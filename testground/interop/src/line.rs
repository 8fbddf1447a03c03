//! The line protocol of foreign peers: JSON, a line each (X1 to X6 of
//! `docs/specs/interop-peer.md`).

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Longest line that is read: an identify answer has 4 KiB at most, everything else less.
pub const MAX_LINE: usize = 64 * 1024;

/// The first line of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Always true.
    pub ready: bool,
    /// Its PeerId, base58.
    pub peer: String,
    /// Where it listens, closed by `/p2p/PEER`.
    pub addrs: Vec<String>,
    /// The libraries it is made of and their versions.
    pub versions: Vec<String>,
}

/// What a peer can be told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Command {
    /// Connects to an address closed by `/p2p/PEER`.
    Dial {
        /// The address.
        addr: String,
    },
    /// Has others reach this peer over a relay, as long as it runs.
    Reserve {
        /// Where the relay is, closed by `/p2p/PEER`.
        addr: String,
    },
    /// One round trip of the ping protocol.
    Ping {
        /// With whom.
        peer: String,
    },
    /// Waits until a connected peer is identified.
    Identify {
        /// Who.
        peer: String,
    },
    /// Waits until mDNS has found a peer.
    MdnsWait {
        /// Who.
        peer: String,
    },
    /// Waits until a peer is in the routing table of Kademlia.
    KadWait {
        /// Who.
        peer: String,
    },
    /// Looks a peer up in Kademlia.
    FindPeer {
        /// Who.
        peer: String,
    },
    /// Puts a provider record into Kademlia.
    Provide {
        /// A CID.
        key: String,
        /// The block that it names, for a peer that provides only what it has.
        content: String,
    },
    /// Looks for provider records.
    FindProviders {
        /// A CID.
        key: String,
    },
    /// Subscribes to a topic of gossipsub.
    Subscribe {
        /// Its name.
        topic: String,
    },
    /// Publishes once another peer of the topic is known.
    Publish {
        /// Its name.
        topic: String,
        /// The message.
        data: String,
    },
    /// Waits for a message.
    GossipWait {
        /// Its topic.
        topic: String,
        /// The message.
        data: String,
    },
    /// Stores a file or directory and provides it.
    Add {
        /// Where it is.
        path: String,
    },
    /// Gets a file or directory.
    Fetch {
        /// Its CID.
        key: String,
        /// Where it goes.
        path: String,
    },
}

impl Command {
    /// Its name on the line.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Dial { .. } => "dial",
            Command::Reserve { .. } => "reserve",
            Command::Ping { .. } => "ping",
            Command::Identify { .. } => "identify",
            Command::MdnsWait { .. } => "mdns-wait",
            Command::KadWait { .. } => "kad-wait",
            Command::FindPeer { .. } => "find-peer",
            Command::Provide { .. } => "provide",
            Command::FindProviders { .. } => "find-providers",
            Command::Subscribe { .. } => "subscribe",
            Command::Publish { .. } => "publish",
            Command::GossipWait { .. } => "gossip-wait",
            Command::Add { .. } => "add",
            Command::Fetch { .. } => "fetch",
        }
    }
}

/// One line to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Comes back in the answer.
    pub id: u64,
    /// How long it may take.
    pub within_ms: u64,
    /// What to do.
    #[serde(flatten)]
    pub command: Command,
}

#[derive(Debug, Deserialize)]
struct Answer {
    id: u64,
    ok: Option<Map<String, Value>>,
    error: Option<String>,
}

impl Ready {
    /// Reads the first line of a peer.
    pub fn parse(line: &str) -> anyhow::Result<Ready> {
        let ready: Ready =
            serde_json::from_str(line).with_context(|| format!("not a first line: {line}"))?;
        if !ready.ready || ready.peer.is_empty() || ready.addrs.is_empty() {
            bail!("a peer without name or address: {line}");
        }
        Ok(ready)
    }
}

impl Request {
    /// The line, ended.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("texts and numbers become JSON");
        line.push('\n');
        line
    }

    /// Reads the answer to this request. The inner result is the peer's.
    pub fn answer(&self, line: &str) -> anyhow::Result<Result<Map<String, Value>, String>> {
        let answer: Answer =
            serde_json::from_str(line).with_context(|| format!("not an answer: {line}"))?;
        if answer.id != self.id {
            bail!("an answer to {} instead of {}: {line}", answer.id, self.id);
        }
        match (answer.ok, answer.error) {
            (Some(ok), None) => Ok(Ok(ok)),
            (None, Some(error)) => Ok(Err(error)),
            _ => bail!("an answer is ok or an error: {line}"),
        }
    }
}
