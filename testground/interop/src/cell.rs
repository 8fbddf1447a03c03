//! What the matrix is made of: peers, transports, checks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A foreign implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// go-libp2p.
    Go,
    /// js-libp2p.
    Js,
    /// py-libp2p.
    Py,
    /// kubo, the daemon itself.
    Kubo,
    /// Helia, on js-libp2p.
    Helia,
}

/// What the two sides are connected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Transport {
    /// TCP with noise and yamux.
    #[serde(rename = "tcp")]
    Tcp,
    /// QUIC.
    #[serde(rename = "quic-v1")]
    Quic,
    /// WebSocket with noise and yamux.
    #[serde(rename = "ws")]
    Ws,
}

/// One thing that is measured. `Out`: Hedgerow asks and the foreign peer serves; `In`: the
/// other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Hedgerow dials.
    DialOut,
    /// The peer dials.
    DialIn,
    /// Hedgerow pings.
    PingOut,
    /// The peer pings.
    PingIn,
    /// Hedgerow knows the peer's agent and protocols.
    IdentifyOut,
    /// The peer knows Hedgerow's.
    IdentifyIn,
    /// Hedgerow finds the peer by mDNS.
    MdnsOut,
    /// The peer finds Hedgerow by mDNS.
    MdnsIn,
    /// Hedgerow finds a third peer that only the peer knows.
    FindPeerOut,
    /// The peer finds a third one that only Hedgerow knows.
    FindPeerIn,
    /// The peer keeps Hedgerow's provider record.
    ProvideOut,
    /// Hedgerow keeps the peer's provider record.
    ProvideIn,
    /// Hedgerow gets a provider record that the peer keeps.
    FindProvidersOut,
    /// A third peer gets a provider record that Hedgerow keeps.
    FindProvidersIn,
    /// The peer gets a message that Hedgerow published.
    GossipOut,
    /// Hedgerow gets a message that the peer published.
    GossipIn,
    /// Hedgerow finds files of a third peer in Kademlia and gets them by bitswap.
    FetchOut,
    /// A third peer finds files of Hedgerow in Kademlia and gets them by bitswap.
    FetchIn,
    /// The same bytes have the same CID on both sides.
    SameCid,
    /// Hedgerow relays between two peers.
    RelayIn,
    /// A third peer reaches Hedgerow over the relay that the peer is.
    RelayedIn,
    /// Hedgerow reaches a third peer over the relay that the peer is.
    RelayedOut,
}

impl Peer {
    /// All of them, in the order of the matrix.
    pub const ALL: [Peer; 5] = [Peer::Go, Peer::Js, Peer::Py, Peer::Kubo, Peer::Helia];

    /// Name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Go => "go",
            Peer::Js => "js",
            Peer::Py => "py",
            Peer::Kubo => "kubo",
            Peer::Helia => "helia",
        }
    }

    /// Whether a check can be made with it: blocks and files are no part of libp2p.
    pub fn has(self, check: Check) -> bool {
        match check {
            Check::FetchOut | Check::FetchIn | Check::SameCid => {
                matches!(self, Peer::Kubo | Peer::Helia)
            }
            _ => true,
        }
    }
}

impl Transport {
    /// All of them, in the order of the matrix.
    pub const ALL: [Transport; 3] = [Transport::Tcp, Transport::Quic, Transport::Ws];

    /// Name as in a multiaddress.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Quic => "quic-v1",
            Transport::Ws => "ws",
        }
    }

    /// What is negotiated on it.
    pub fn title(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp + noise + yamux",
            Transport::Quic => "quic-v1",
            Transport::Ws => "ws + noise + yamux",
        }
    }

    /// The address to listen on.
    pub fn address(self, ip: std::net::Ipv4Addr, port: u16) -> String {
        match self {
            Transport::Tcp => format!("/ip4/{ip}/tcp/{port}"),
            Transport::Quic => format!("/ip4/{ip}/udp/{port}/quic-v1"),
            Transport::Ws => format!("/ip4/{ip}/tcp/{port}/ws"),
        }
    }
}

impl Check {
    /// All of them, in the order of the matrix.
    pub const ALL: [Check; 22] = [
        Check::DialOut,
        Check::DialIn,
        Check::PingOut,
        Check::PingIn,
        Check::IdentifyOut,
        Check::IdentifyIn,
        Check::MdnsOut,
        Check::MdnsIn,
        Check::FindPeerOut,
        Check::FindPeerIn,
        Check::ProvideOut,
        Check::ProvideIn,
        Check::FindProvidersOut,
        Check::FindProvidersIn,
        Check::GossipOut,
        Check::GossipIn,
        Check::FetchOut,
        Check::FetchIn,
        Check::SameCid,
        Check::RelayIn,
        Check::RelayedIn,
        Check::RelayedOut,
    ];

    /// What it says, for a reader.
    pub fn title(self) -> &'static str {
        match self {
            Check::DialOut => "Hedgerow dials the peer",
            Check::DialIn => "the peer dials Hedgerow",
            Check::PingOut => "ping by Hedgerow",
            Check::PingIn => "ping by the peer",
            Check::IdentifyOut => "identify: Hedgerow knows the peer's agent and protocols",
            Check::IdentifyIn => "identify: the peer knows Hedgerow's",
            Check::MdnsOut => "mDNS: Hedgerow finds the peer",
            Check::MdnsIn => "mDNS: the peer finds Hedgerow",
            Check::FindPeerOut => "kad: Hedgerow finds a third peer through the peer",
            Check::FindPeerIn => "kad: the peer finds a third one through Hedgerow",
            Check::ProvideOut => "kad: the peer keeps Hedgerow's provider record",
            Check::ProvideIn => "kad: Hedgerow keeps the peer's provider record",
            Check::FindProvidersOut => "kad: Hedgerow finds providers at the peer",
            Check::FindProvidersIn => "kad: a third peer finds providers at Hedgerow",
            Check::GossipOut => "gossipsub: the peer gets Hedgerow's message",
            Check::GossipIn => "gossipsub: Hedgerow gets the peer's message",
            Check::FetchOut => "bitswap: Hedgerow gets files of a third peer, found by kad",
            Check::FetchIn => "bitswap: a third peer gets files of Hedgerow, found by kad",
            Check::SameCid => "UnixFS: the same files have the same CIDs on both sides",
            Check::RelayIn => "relay: the peer reaches a third one over Hedgerow",
            Check::RelayedIn => "relay: a third peer reaches Hedgerow over the peer",
            Check::RelayedOut => "relay: Hedgerow reaches a third peer over the peer",
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}
