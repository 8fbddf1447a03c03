//! The behaviours of a node, limits first.

use libp2p::{
    autonat,
    connection_limits::{self, ConnectionLimits},
    dcutr, gossipsub, identify,
    identity::Keypair,
    kad::{
        self,
        store::{MemoryStore, MemoryStoreConfig},
    },
    memory_connection_limits, ping, relay,
    swarm::{NetworkBehaviour, StreamProtocol, behaviour::toggle::Toggle},
};
use std::time::Duration;

use super::{guarded::Guarded, nat::Probing, streams};
use crate::{config, provided::MAX_PROVIDED};

/// Kademlia among the nodes of a LAN, as kubo names it.
const KAD_LAN: StreamProtocol = StreamProtocol::new("/ipfs/lan/kad/1.0.0");

/// Largest gossip message, Go's default; Rust's is 64 KiB.
const GOSSIP_MAX_TRANSMIT: usize = 1024 * 1024;

/// Connections whose handshake is still under way: strangers must not fill the table.
const MAX_PENDING: u32 = 64;

/// Connections to one peer: TCP and QUIC, one more when both sides dial at once, a relayed one
/// in each direction, and one that tests an address (T13 of `docs/specs/nat.md`).
const MAX_PER_PEER: u32 = 6;

/// How long a reservation at this node lasts unless it is renewed, which clients do.
const RESERVATION: Duration = Duration::from_secs(60 * 60);

/// Connections over which one peer may have a reservation.
const RESERVATIONS_PER_PEER: usize = 4;

/// How often a connection is pinged, to notice silent ones and to know their RTT.
const PING_INTERVAL: Duration = Duration::from_secs(30);

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    connection_limits: connection_limits::Behaviour,
    memory_limits: memory_connection_limits::Behaviour,
    pub(crate) identify: identify::Behaviour,
    ping: ping::Behaviour,
    // After `ping`, which answers inbound streams of the same protocol.
    pings_on_demand: streams::Behaviour,
    pub(crate) mdns: Toggle<mdns::Behaviour>,
    pub(crate) kad: Toggle<kad::Behaviour<MemoryStore>>,
    pub(crate) gossipsub: notify::Behaviour,
    pub(crate) overlay: overlay::Behaviour,
    blocks: blocks::Behaviour,
    dht: dht::Behaviour,
    objects: objects::Behaviour,
    claims: claims::Behaviour,
    fragments: replicas::Behaviour<archive::Fragments>,
    manifests: replicas::Behaviour<archive::Manifests>,
    bitswap: bitswap::Behaviour,
    web_cache: Toggle<webcache::Behaviour>,
    pub(crate) relay: Guarded<relay::Behaviour>,
    pub(crate) relay_client: relay::client::Behaviour,
    dcutr: dcutr::Behaviour,
    pub(crate) probing: Toggle<Probing>,
    autonat_server: Guarded<autonat::v2::server::Behaviour>,
}

/// Behaviours that are made elsewhere because their handles are needed there.
pub(crate) struct Parts {
    pub(crate) overlay: overlay::Behaviour,
    pub(crate) blocks: blocks::Behaviour,
    pub(crate) dht: dht::Behaviour,
    pub(crate) objects: objects::Behaviour,
    pub(crate) claims: claims::Behaviour,
    pub(crate) fragments: replicas::Behaviour<archive::Fragments>,
    pub(crate) manifests: replicas::Behaviour<archive::Manifests>,
    pub(crate) bitswap: bitswap::Behaviour,
    pub(crate) web_cache: Option<webcache::Behaviour>,
    pub(crate) relay_client: relay::client::Behaviour,
}

impl Behaviour {
    pub(crate) fn new(
        keypair: &Keypair,
        settings: &config::Network,
        relaying: &config::Relay,
        parts: Parts,
    ) -> anyhow::Result<(Self, streams::Handle, notify::Gossip)> {
        let peer = keypair.public().to_peer_id();
        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(MAX_PENDING))
            .with_max_pending_outgoing(Some(MAX_PENDING))
            .with_max_established(Some(settings.max_connections))
            .with_max_established_per_peer(Some(MAX_PER_PEER));
        let (pings_on_demand, streams, _) = streams::Behaviour::new(streams::PING_PROTOCOL, 0);
        let mdns = settings
            .mdns
            .then(|| mdns::Behaviour::new(mdns::Config::default(), peer))
            .transpose()?;
        let kad = settings.kademlia.then(|| {
            let store = MemoryStore::with_config(peer, kad_store_config());
            let mut kad = kad::Behaviour::with_config(peer, store, kad_config());
            kad.set_mode(Some(kad::Mode::Server));
            kad
        });
        let (gossipsub, gossip) = gossipsub(keypair)?;
        let behaviour = Self {
            connection_limits: connection_limits::Behaviour::new(limits),
            memory_limits: memory_connection_limits::Behaviour::with_max_bytes(
                settings.max_memory_mib.saturating_mul(1024 * 1024),
            ),
            identify: identify::Behaviour::new(
                identify::Config::new("ipfs/0.1.0".to_owned(), keypair.public())
                    .with_agent_version(crate::AGENT.to_owned())
                    .with_push_listen_addr_updates(true),
            ),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL)),
            pings_on_demand,
            mdns: mdns.into(),
            kad: kad.into(),
            gossipsub,
            overlay: parts.overlay,
            blocks: parts.blocks,
            dht: parts.dht,
            objects: parts.objects,
            claims: parts.claims,
            fragments: parts.fragments,
            manifests: parts.manifests,
            bitswap: parts.bitswap,
            web_cache: parts.web_cache.into(),
            relay: Guarded::new(
                "relay",
                relaying.serve.then(|| {
                    let mut relay = relay::Behaviour::new(peer, relay_config(relaying));
                    // For good: a later change ends the tasks of relayed connections in a panic.
                    relay.set_status(Some(relay::Status::Enable));
                    relay
                }),
            ),
            relay_client: parts.relay_client,
            dcutr: dcutr::Behaviour::new(peer),
            probing: relaying.auto.then(Probing::default).into(),
            autonat_server: Guarded::new(
                "autonat server",
                relaying.serve.then(autonat::v2::server::Behaviour::default),
            ),
        };
        Ok((behaviour, streams, gossip))
    }
}

/// The library's rates, and its numbers in the meaning that ours have: it denies a peer what
/// comes after one too many.
fn relay_config(settings: &config::Relay) -> relay::Config {
    let number = |bound: std::num::NonZeroU32| bound.get() as usize;
    relay::Config {
        max_reservations: number(settings.reservations),
        max_reservations_per_peer: RESERVATIONS_PER_PEER - 1,
        reservation_duration: RESERVATION,
        max_circuits: number(settings.circuits),
        max_circuits_per_peer: number(settings.circuits_per_peer) - 1,
        max_circuit_duration: Duration::from_secs(settings.circuit_seconds.get().into()),
        max_circuit_bytes: u64::from(settings.circuit_mib.get()) * 1024 * 1024,
        ..relay::Config::default()
    }
}

/// Room for what is provided here, and for what a person provides besides.
fn kad_store_config() -> MemoryStoreConfig {
    MemoryStoreConfig {
        max_provided_keys: MAX_PROVIDED + 1024,
        ..MemoryStoreConfig::default()
    }
}

fn kad_config() -> kad::Config {
    let mut config = kad::Config::new(KAD_LAN);
    // The node decides whose addresses are fit for a LAN table, and takes no values:
    // records that nobody validates are not worth keeping.
    config
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_record_filtering(kad::StoreInserts::FilterBoth);
    config
}

fn gossipsub(keypair: &Keypair) -> anyhow::Result<(notify::Behaviour, notify::Gossip)> {
    let mut config = gossipsub::ConfigBuilder::default();
    config
        // Implementations disagree on default ids; the hash of the content is the
        // same for all of them.
        .message_id_fn(notify::message_id)
        .max_transmit_size(GOSSIP_MAX_TRANSMIT)
        .validation_mode(gossipsub::ValidationMode::Strict);
    Ok(notify::Behaviour::new(keypair, &mut config)?)
}
