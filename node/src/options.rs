//! The flags of `node start`, shared by the programs `node` and `hedgerow`.

use clap::Args;

/// Flags that override `config.toml` and the environment for one run.
#[derive(Args, Clone, Debug, Default)]
pub struct StartOptions {
    /// Port for TCP and QUIC, IPv4 and IPv6 (0: any free one) [default: 4747]
    #[arg(long, value_name = "PORT")]
    pub listen_port: Option<String>,
    /// Listen on this multiaddress instead of on all addresses (may be repeated)
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// Enter the network by the node at this multiaddress (may be repeated)
    #[arg(long, value_name = "MULTIADDR")]
    pub bootstrap: Vec<String>,
    /// Have others reach this node over the relay at this multiaddress, closed by /p2p/PEER
    /// (may be repeated)
    #[arg(long, value_name = "MULTIADDR")]
    pub relay: Vec<String>,
    /// Whether to look for nodes by multicast DNS [default: true]
    #[arg(long, value_name = "BOOL")]
    pub mdns: Option<String>,
    /// Whether to serve the LAN Kademlia table [default: true]
    #[arg(long, value_name = "BOOL")]
    pub kademlia: Option<String>,
    /// Most connections at a time [default: 512]
    #[arg(long, value_name = "COUNT")]
    pub max_connections: Option<String>,
    /// Refuse new connections while the process is larger than this [default: 1024]
    #[arg(long, value_name = "MIB")]
    pub max_memory_mib: Option<String>,
    /// Whether to relay for others, and to test their addresses [default: false]
    #[arg(long, value_name = "BOOL")]
    pub relay_serve: Option<String>,
    /// Whether to have own addresses tested, and known nodes relay if nobody can dial this one
    /// [default: false]
    #[arg(long, value_name = "BOOL")]
    pub relay_auto: Option<String>,
    /// Most peers that are reached through this node [default: 128]
    #[arg(long, value_name = "COUNT")]
    pub relay_reservations: Option<String>,
    /// Most circuits through this node at a time [default: 128]
    #[arg(long, value_name = "COUNT")]
    pub relay_circuits: Option<String>,
    /// Of these, most that one peer has begun [default: 32]
    #[arg(long, value_name = "COUNT")]
    pub relay_circuits_per_peer: Option<String>,
    /// Most that passes a circuit, both directions together [default: 64]
    #[arg(long, value_name = "MIB")]
    pub relay_circuit_mib: Option<String>,
    /// Longest time of a circuit [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    pub relay_circuit_seconds: Option<String>,
    /// Room for blocks (0: nine tenths of what is free at the start and kept) [default: 0]
    #[arg(long, value_name = "MIB")]
    pub store_max_mib: Option<String>,
    /// How often every block is read and hashed (0: never) [default: 7]
    #[arg(long, value_name = "DAYS")]
    pub store_scrub_days: Option<String>,
    /// Most that is read for that in a second [default: 2]
    #[arg(long, value_name = "MIB")]
    pub store_scrub_mib: Option<String>,
    /// How long blocks are kept that nobody needs any more [default: 24]
    #[arg(long, value_name = "HOURS")]
    pub store_grace_hours: Option<String>,
    /// Room for copies of other nodes' blocks (0: keep none) [default: 256]
    #[arg(long, value_name = "MIB")]
    pub cache_max_mib: Option<String>,
    /// Most copies that others can find here (0: none) [default: 256]
    #[arg(long, value_name = "COUNT")]
    pub cache_published: Option<String>,
    /// Port of the web cache's proxy on 127.0.0.1 (0: none) [default: 0]
    #[arg(long, value_name = "PORT")]
    pub webcache_port: Option<String>,
    /// Room for what the web cache keeps (0: a tenth of the free disk, and 10 GiB at most)
    /// [default: 0]
    #[arg(long, value_name = "MIB")]
    pub webcache_max_mib: Option<String>,
    /// Whether the web cache gives what it has, however old, and asks no origin [default: false]
    #[arg(long, value_name = "BOOL")]
    pub webcache_offline: Option<String>,
    /// A file of certificates (PEM) that vouch for the web cache's https servers besides the
    /// system's [default: none]
    #[arg(long, value_name = "FILE")]
    pub webcache_ca_file: Option<String>,
    /// Hosts, as pypi.example.org, whose index pages say which files are right, besides the public
    /// registries of pip, npm and cargo; separated by commas [default: none]
    #[arg(long, value_name = "HOSTS")]
    pub webcache_registries: Option<String>,
    /// Hosts, as example.org or *.example.org, whose https the web cache reads and keeps, for
    /// clients that trust this node's own authority (see hedgerow cache ca); separated by commas
    /// [default: none]
    #[arg(long, value_name = "HOSTS")]
    pub webcache_intercept: Option<String>,
    /// Which answers of other nodes the web cache believes: all, verified (those whose body's
    /// digest the URL or an index page names) or none: then it is for this machine alone [default: verified]
    #[arg(long, value_name = "WHICH")]
    pub webcache_peers: Option<String>,
    /// Where bodies of the shared web cache are, the same in the whole network: home-store or
    /// directory [default: home-store]
    #[arg(long, value_name = "SCHEME")]
    pub webcache_scheme: Option<String>,
    /// KiB a second of the web cache that other nodes get, all together (0: no limit) [default: 0]
    #[arg(long, value_name = "KIB")]
    pub webcache_serve_kib: Option<String>,
    /// Networks, as 10.0.0.0/8, whose servers the web cache asks on behalf of other nodes as if
    /// they were public; separated by commas [default: none]
    #[arg(long, value_name = "NETWORKS")]
    pub webcache_peer_networks: Option<String>,
    /// Room for fragments of archived versions (0: as much as the disk has) [default: 0]
    #[arg(long, value_name = "GIB")]
    pub archive_max_gib: Option<String>,
    /// Most that the repair of archives moves in a second [default: 8]
    #[arg(long, value_name = "MIB")]
    pub archive_repair_mib: Option<String>,
    /// How often the fragments of an archive are counted [default: 600]
    #[arg(long, value_name = "SECONDS")]
    pub archive_sweep_seconds: Option<String>,
    /// How long a version has to be the newest before it is archived by itself [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub archive_settle_seconds: Option<String>,
    /// Roots of an object, the same in the whole network [default: 5]
    #[arg(long, value_name = "COUNT")]
    pub location_roots: Option<String>,
    /// Nodes beside each root that are given a pointer too [default: 2]
    #[arg(long, value_name = "COUNT")]
    pub location_root_copies: Option<String>,
    /// Other candidates for the next hop that are given a pointer too [default: 1]
    #[arg(long, value_name = "COUNT")]
    pub location_backups: Option<String>,
    /// Nodes near a hop that are given a pointer too [default: 3]
    #[arg(long, value_name = "COUNT")]
    pub location_neighbours: Option<String>,
    /// Hops beside which backups and neighbours are given pointers [default: 1]
    #[arg(long, value_name = "COUNT")]
    pub location_spread_hops: Option<String>,
    /// How long others keep a pointer that is not renewed [default: 900]
    #[arg(long, value_name = "SECONDS")]
    pub location_lifetime_seconds: Option<String>,
    /// How often pointers are renewed [default: 300]
    #[arg(long, value_name = "SECONDS")]
    pub location_republish_seconds: Option<String>,
    /// Most objects this node publishes [default: 4096]
    #[arg(long, value_name = "COUNT")]
    pub location_max_publications: Option<String>,
    /// Most pointers kept for others [default: 65536]
    #[arg(long, value_name = "COUNT")]
    pub location_max_pointers: Option<String>,
    /// Most pointers kept to one publisher [default: 4096]
    #[arg(long, value_name = "COUNT")]
    pub location_max_pointers_of_publisher: Option<String>,
    /// Most pointers kept for one object [default: 32]
    #[arg(long, value_name = "COUNT")]
    pub location_max_pointers_of_object: Option<String>,
    /// Port of the control API on 127.0.0.1 (0: any free one) [default: 4748]
    #[arg(long, value_name = "PORT")]
    pub api_port: Option<String>,
    /// Port of the S3 door on 127.0.0.1 (0: any free one) [default: 4749]
    #[arg(long, value_name = "PORT")]
    pub s3_port: Option<String>,
}

impl StartOptions {
    /// The flags that were given, as keys of [`crate::config::SETTINGS`] with their text.
    pub fn given(&self) -> Vec<(&'static str, String)> {
        let list = |items: &Vec<String>| (!items.is_empty()).then(|| items.join(","));
        [
            ("network.listen_port", self.listen_port.clone()),
            ("network.listen", list(&self.listen)),
            ("network.bootstrap", list(&self.bootstrap)),
            ("network.relays", list(&self.relay)),
            ("network.mdns", self.mdns.clone()),
            ("network.kademlia", self.kademlia.clone()),
            ("network.max_connections", self.max_connections.clone()),
            ("network.max_memory_mib", self.max_memory_mib.clone()),
            ("relay.serve", self.relay_serve.clone()),
            ("relay.auto", self.relay_auto.clone()),
            ("relay.reservations", self.relay_reservations.clone()),
            ("relay.circuits", self.relay_circuits.clone()),
            (
                "relay.circuits_per_peer",
                self.relay_circuits_per_peer.clone(),
            ),
            ("relay.circuit_mib", self.relay_circuit_mib.clone()),
            ("relay.circuit_seconds", self.relay_circuit_seconds.clone()),
            ("store.max_mib", self.store_max_mib.clone()),
            ("store.scrub_days", self.store_scrub_days.clone()),
            ("store.scrub_mib", self.store_scrub_mib.clone()),
            ("store.grace_hours", self.store_grace_hours.clone()),
            ("cache.max_mib", self.cache_max_mib.clone()),
            ("cache.published", self.cache_published.clone()),
            ("webcache.port", self.webcache_port.clone()),
            ("webcache.max_mib", self.webcache_max_mib.clone()),
            ("webcache.offline", self.webcache_offline.clone()),
            ("webcache.ca_file", self.webcache_ca_file.clone()),
            ("webcache.registries", self.webcache_registries.clone()),
            ("webcache.intercept", self.webcache_intercept.clone()),
            ("webcache.peers", self.webcache_peers.clone()),
            ("webcache.scheme", self.webcache_scheme.clone()),
            ("webcache.serve_kib", self.webcache_serve_kib.clone()),
            (
                "webcache.peer_networks",
                self.webcache_peer_networks.clone(),
            ),
            ("archive.max_gib", self.archive_max_gib.clone()),
            ("archive.repair_mib", self.archive_repair_mib.clone()),
            ("archive.sweep_seconds", self.archive_sweep_seconds.clone()),
            (
                "archive.settle_seconds",
                self.archive_settle_seconds.clone(),
            ),
            ("location.roots", self.location_roots.clone()),
            ("location.root_copies", self.location_root_copies.clone()),
            ("location.backups", self.location_backups.clone()),
            ("location.neighbours", self.location_neighbours.clone()),
            ("location.spread_hops", self.location_spread_hops.clone()),
            (
                "location.lifetime_seconds",
                self.location_lifetime_seconds.clone(),
            ),
            (
                "location.republish_seconds",
                self.location_republish_seconds.clone(),
            ),
            (
                "location.max_publications",
                self.location_max_publications.clone(),
            ),
            ("location.max_pointers", self.location_max_pointers.clone()),
            (
                "location.max_pointers_of_publisher",
                self.location_max_pointers_of_publisher.clone(),
            ),
            (
                "location.max_pointers_of_object",
                self.location_max_pointers_of_object.clone(),
            ),
            ("api.port", self.api_port.clone()),
            ("s3.port", self.s3_port.clone()),
        ]
        .into_iter()
        .filter_map(|(key, text)| text.map(|text| (key, text)))
        .collect()
    }
}
