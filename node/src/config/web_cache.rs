//! Settings of the web cache.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use webcache::{Hosts, Networks, Scheme, Trust};

/// The web cache's proxy, and what is shared of it (`docs/specs/webcache.md`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebCache {
    /// Port of the proxy on 127.0.0.1; 0 has none.
    pub port: u16,
    /// Room for what it keeps, in MiB; 0 takes a tenth of the free disk, and 10 GiB at most.
    pub max_mib: u32,
    /// Whether it gives what it has, however old, and asks no origin.
    pub offline: bool,
    /// A file of certificates (PEM) that vouch for `https` servers besides the system's; empty has
    /// none.
    pub ca_file: PathBuf,
    /// Hosts, as `pypi.example.org` or `a.example:8443`, whose index pages say which files are
    /// right, besides the public registries.
    pub registries: Vec<String>,
    /// Hosts, as `example.org`, `*.example.org` or `a.example:8443`, whose `https` is read and
    /// kept, for clients that trust the node's own authority; empty reads nobody's.
    pub intercept: Hosts,
    /// Which answers of other nodes are believed: `all`, `verified` (those whose body's
    /// digest the URL or an index page names), or `none`: then this node has no part in the shared cache.
    pub peers: Trust,
    /// Where the bodies are, `home-store` or `directory`; the same at all nodes.
    pub scheme: Scheme,
    /// KiB a second of what is given to other nodes, all together; 0 has no limit.
    pub serve_kib: u32,
    /// Networks whose servers are asked on behalf of other nodes as if they were public.
    pub peer_networks: PeerNetworks,
}

/// Networks, written as `10.0.0.0/8`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct PeerNetworks(Networks);

impl PeerNetworks {
    /// The networks.
    pub fn networks(&self) -> Networks {
        self.0.clone()
    }
}

impl TryFrom<Vec<String>> for PeerNetworks {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let networks = Networks::parse(&texts);
        networks.map(Self).map_err(|error| error.to_string())
    }
}

impl From<PeerNetworks> for Vec<String> {
    fn from(networks: PeerNetworks) -> Self {
        networks.0.texts()
    }
}
