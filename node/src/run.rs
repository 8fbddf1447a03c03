//! From a home and settings to a running node, and back.

use std::{
    num::NonZeroU8,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use libp2p::{Multiaddr, Swarm, multiaddr::Protocol, relay, swarm};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    StartOptions,
    aliases::Aliases,
    api::{App, Doors, Services},
    archive_policy::ArchivePolicy,
    archiving::Archiving,
    config::Effective,
    content::Content,
    following::{self, ObjectVersions},
    home::{Home, OpenHome},
    local_blocks::{LocalBlocks, TellingStore},
    mailbox::Mailbox,
    network::{self, Behaviour, Driver, Network, Parts, Relays, listen_addresses},
    node_blocks::NodeBlocks,
    ports::check_swarm_port,
    provided::Provided,
    readiness::notify,
    remembered::RememberedPeers,
    s3::{self, AccessKeys},
    stores, web_cache,
};

/// A connection that no behaviour wants to keep is closed after this.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// Inbound streams of a connection that may negotiate at a time.
const MAX_NEGOTIATING: usize = 128;

/// Addresses of a peer that are dialled at once: as many as a contact has, so that none that
/// leads nowhere keeps one waiting that leads there (T10 of `docs/specs/nat.md`).
const DIALLED_AT_ONCE: NonZeroU8 = NonZeroU8::new(16).expect("16 is not 0");

/// How long the farewell to the neighbours may take; they would notice anyway.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long the first listening address may take to show.
const FIRST_ADDRESS: Duration = Duration::from_secs(5);

/// Runs a node until SIGINT, SIGTERM or its API stops it.
pub async fn run(home: Home, options: &StartOptions) -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(name).ok();
    let effective = Effective::load(&home.config_file(), variable, &options.given())?;
    // Before anything is opened, so that a signal during the start is not lost.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let node = Node::start(&home, effective).await?;
    let ready = node.announce_when_ready();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = node.stop.cancelled() => {}
    }
    ready.abort();
    notify(&["STOPPING=1", "STATUS=stopping"]);
    node.stop().await
}

/// A running node.
pub struct Node {
    // Fields are dropped in this order: the lock goes last.
    stop: CancellationToken,
    network: Network,
    overlay: overlay::Handle,
    driver: JoinHandle<()>,
    quit: CancellationToken,
    doors: JoinHandle<()>,
    s3: JoinHandle<()>,
    s3_address: std::net::SocketAddr,
    api: std::net::SocketAddr,
    home: OpenHome,
}

impl Node {
    /// Opens the home, the stores and the doors, and starts to join.
    pub async fn start(home: &Home, effective: Effective) -> anyhow::Result<Self> {
        let started = Instant::now();
        let settings = effective.config.clone();
        let home = home.open()?;
        if settings.network.listen.is_empty() {
            check_swarm_port(settings.network.listen_port)?;
        }
        let doors = Doors::open(home.home.socket(), settings.api.port).await?;
        let s3_door = s3::Door::open(settings.s3.port, home.home.uploads()).await?;

        let mut routing = overlay::Config::default();
        routing.pastry.location = settings.location.core();
        let overlay = overlay::Behaviour::new(routing, &home.keypair);
        let ring = overlay.handle();
        let web_cache = web_cache::open(&home.home, &settings.webcache, ring.clone()).await?;
        let (proxy, web_cache) = match web_cache {
            Some(parts) => (Some(Arc::new(parts.proxy)), parts.behaviour),
            None => (None, None),
        };
        let stores = stores::open(
            home.home.store(),
            ring.me().guid,
            &settings.store,
            &settings.archive,
        )
        .await?;
        let cache = stores::open_cache(home.home.cache(), settings.cache.max_mib).await;
        let local = LocalBlocks::new(Arc::clone(&stores.blocks), cache.clone());
        let bitswap = bitswap::Behaviour::new(bitswap::Config::default(), Arc::new(local));
        let bitswap_handle = bitswap.handle();
        let telling = TellingStore::new(stores.blocks, bitswap_handle.clone());
        let caring = settings.store.upkeep();
        let (claims, claims_handle) =
            claims::new(replicas::Config::default(), stores.claims, ring.clone());
        let unwanted = upkeep::Unwanted::new(claims_handle.clone(), &caring);
        let blocks = blocks::Behaviour::with_copies(
            replicas::Config {
                published: settings.cache.published.get(),
                ..replicas::Config::default()
            },
            blocks::Blocks::with_cache(Arc::new(telling), cache).with_needs(Arc::new(unwanted)),
            ring.clone(),
            ring.clone(),
        );
        let blocks_handle = blocks.handle();
        let (dht, dht_handle) = dht::new(
            replicas::Config::default(),
            stores.records,
            ring.clone(),
            home.keypair.clone(),
        );
        let objects = objects::new(replicas::Config::default(), stores.heads, ring.clone());
        let heads_handle = objects.handle();
        let fragments = replicas::Behaviour::new(
            archive::fragments_config(settings.archive.handling().repair_bytes_per_second),
            Arc::new(archive::Fragments::new(stores.fragments)),
            ring.clone(),
        );
        let manifests = replicas::Behaviour::new(
            archive::manifests_config(),
            Arc::new(archive::Manifests::new(stores.manifests)),
            ring.clone(),
        );
        let (fragments_handle, manifests_handle) = (fragments.handle(), manifests.handle());

        let me = home.keypair.public().to_peer_id();
        let (circuits, relay_client) = relay::client::new(me);
        let parts = Parts {
            overlay,
            blocks,
            dht,
            objects,
            claims,
            fragments,
            manifests,
            bitswap,
            web_cache,
            relay_client,
        };
        let (behaviour, streams, gossip) =
            Behaviour::new(&home.keypair, &settings.network, &settings.relay, parts)?;
        let websocket = uses_websocket(&settings.network.listen);
        let transport = network::build_transport(&home.keypair, websocket)?;
        let transport = network::with_relay(transport, circuits, &home.keypair)?;
        let mut swarm = Swarm::new(transport, behaviour, me, swarm_config());
        let explicit = !settings.network.listen.is_empty();
        listen(&mut swarm, listen_addresses(&settings.network), explicit)?;

        let (network, ends) = Network::new(streams);
        let remembered = RememberedPeers::load(home.home.peers_file());
        let driver = Driver::new(
            swarm,
            ends,
            remembered,
            settings.network.bootstrap,
            Relays::new(
                settings.network.relays.addresses(),
                settings.relay.auto,
                Instant::now(),
            ),
        );
        let quit = CancellationToken::new();
        let stop = CancellationToken::new();
        // A node without its network is of no use to anybody: it ends, and whoever watches over it
        // may start it again.
        let ended = stop.clone().drop_guard();
        let running = driver.run(quit.clone());
        let driver = tokio::spawn(async move {
            running.await;
            drop(ended);
        });

        let api = doors.address;
        let s3_address = s3_door.address;
        let s3_keys = home.home.s3_keys_file();
        let content = Content::new(blocks_handle.clone(), bitswap_handle, network.clone());
        let node_blocks = NodeBlocks::new(blocks_handle.clone(), content.clone());
        let aliases = home.home.aliases_file();
        let objects = objects::Handle::new(
            heads_handle,
            Arc::new(node_blocks.clone()),
            home.keypair.clone(),
        );
        let archive = archive::Handle::new(
            fragments_handle,
            manifests_handle,
            Arc::new(node_blocks.clone()),
            ring.clone(),
            home.keypair.clone(),
            settings.archive.handling(),
        );
        let upkeep = upkeep::Handle::with_claims(
            blocks_handle.clone(),
            Arc::new(node_blocks.clone()),
            stores.ledger,
            caring,
            (objects.clone(), claims_handle),
        );
        let prefixes = home.home.archive_prefixes_file();
        let archiving = Archiving::new(
            ArchivePolicy::load(prefixes.clone())
                .with_context(|| prefixes.display().to_string())?,
            objects.clone(),
            archive.clone(),
            settings.archive.settle(),
        );
        let (looking, keeping, closing) = (archive.clone(), upkeep.clone(), stop.clone());
        let by_itself = archiving.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = looking.look_after() => {}
                () = by_itself.run() => {}
                () = keeping.look_after() => {}
                () = closing.cancelled() => {}
            }
        });
        let versions = ObjectVersions::new(objects.clone(), ring.clone());
        let versions = gossip.open(Arc::new(versions)).await;
        // Ends with the objects, whose handles go with the doors.
        tokio::spawn(following::announce(objects.writes(), versions.clone()));
        let app = App::new(Services {
            network: network.clone(),
            overlay: ring.clone(),
            content,
            objects,
            archive,
            archiving,
            upkeep,
            versions,
            node_blocks,
            aliases: Aliases::load(aliases.clone())
                .with_context(|| aliases.display().to_string())?,
            s3: s3_address,
            s3_keys: AccessKeys::load(s3_keys.clone())
                .with_context(|| s3_keys.display().to_string())?,
            s3_streams: Services::stream_permits(),
            provided: Provided::load(home.home.provided_file(), network.clone()).await,
            blocks: blocks_handle,
            dht: dht_handle,
            web_cache: proxy.clone(),
            mailbox: Mailbox::new(ring.clone()),
            effective,
            home: home.home.root().to_owned(),
            api,
            started,
            stop: stop.clone(),
            requests: Services::permits(),
            streams: Services::stream_permits(),
            open_streams: Services::stream_permits(),
        });
        let token = home.token.clone();
        let closing = stop.clone();
        let s3 = tokio::spawn(s3_door.serve(app.clone(), stop.clone()));
        let doors = tokio::spawn(async move { doors.serve(app, &token, closing).await });
        if let Some(proxy) = proxy {
            let closing = stop.clone();
            tokio::spawn(async move { proxy.serve(closing).await });
        }
        Ok(Self {
            stop,
            network,
            overlay: ring,
            driver,
            quit,
            doors,
            s3,
            s3_address,
            api,
            home,
        })
    }

    /// The loopback door of the control API.
    pub fn api(&self) -> std::net::SocketAddr {
        self.api
    }

    /// The S3 door.
    pub fn s3(&self) -> std::net::SocketAddr {
        self.s3_address
    }

    /// Returns once the node is an active member of the overlay.
    pub async fn active(&self) {
        self.overlay.active().await;
    }

    /// Says so on stdout and to the service manager once the node listens and is an
    /// active member of the overlay.
    fn announce_when_ready(&self) -> JoinHandle<()> {
        let network = self.network.clone();
        let overlay = self.overlay.clone();
        let (api, home) = (self.api, self.home.home.root().to_owned());
        tokio::spawn(async move {
            let mut listening = network.listen_changes();
            let first = listening.wait_for(|addresses| !addresses.is_empty());
            if tokio::time::timeout(FIRST_ADDRESS, first).await.is_err() {
                tracing::warn!("no interface has an address yet: listening for when one has");
            }
            notify(&["STATUS=joining"]);
            overlay.active().await;
            let me = overlay.me();
            let status = format!(
                "STATUS=peer {} guid {} home {} api http://{api} listening on {}",
                me.peer,
                me.guid,
                home.display(),
                network
                    .listen_addresses()
                    .iter()
                    .map(Multiaddr::to_string)
                    .collect::<Vec<_>>()
                    .join(" "),
            );
            notify(&["READY=1", &status]);
        })
    }

    /// Closes the doors, says farewell to the neighbours, and leaves everything on disk. Fails
    /// where the network had come to an end before.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        if let Err(error) = self.doors.await {
            tracing::warn!(%error, "control API");
        }
        if let Err(error) = self.s3.await {
            tracing::warn!(%error, "S3 door");
        }
        if tokio::time::timeout(FAREWELL, self.overlay.leave())
            .await
            .is_err()
        {
            tracing::info!("the neighbours did not hear the farewell in time");
        }
        self.quit.cancel();
        let driven = self.driver.await;
        // What was acknowledged is on disk already; the lock goes when all else has gone.
        drop(self.home);
        driven.context("the node's network has failed: start the node again; the log says why")
    }
}

/// Who names a WebSocket address to listen on wants it, also to dial. For all others there
/// would only be more that a peer's addresses make this node do.
fn uses_websocket(listen: &[Multiaddr]) -> bool {
    let is_ws = |part| matches!(part, Protocol::Ws(_) | Protocol::Wss(_));
    listen.iter().any(|address| address.iter().any(is_ws))
}

fn swarm_config() -> swarm::Config {
    swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_CONNECTION)
        .with_max_negotiating_inbound_streams(MAX_NEGOTIATING)
        .with_dial_concurrency_factor(DIALLED_AT_ONCE)
}

/// Opens the listeners. Without IPv6, or with a family switched off, the others do;
/// an address that a person named must work.
fn listen(
    swarm: &mut Swarm<Behaviour>,
    addresses: Vec<Multiaddr>,
    explicit: bool,
) -> anyhow::Result<()> {
    let mut last_error = None;
    let mut opened = 0;
    for address in addresses {
        match swarm.listen_on(address.clone()) {
            Ok(_) => opened += 1,
            Err(error) if explicit => {
                return Err(error)
                    .with_context(|| format!("cannot listen on {address} (see --listen)"));
            }
            Err(error) => {
                tracing::info!(%address, %error, "not listening");
                last_error = Some(error);
            }
        }
    }
    match last_error {
        Some(error) if opened == 0 => {
            Err(error).context("cannot listen on any address (see --listen-port)")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_whose_network_has_ended_stops_and_says_so() {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::at(temp.path());
        let flags = [
            ("network.listen", "/ip4/127.0.0.1/tcp/0".to_owned()),
            ("network.mdns", "false".to_owned()),
            ("api.port", "0".to_owned()),
            ("s3.port", "0".to_owned()),
        ];
        let effective = Effective::load(&home.config_file(), |_| None, &flags).unwrap();
        let node = Node::start(&home, effective).await.unwrap();
        // As a panic does.
        node.driver.abort();
        node.stop.cancelled().await;
        let error = node.stop().await.unwrap_err().to_string();
        assert!(error.contains("the node's network has failed"), "{error}");
    }
}
