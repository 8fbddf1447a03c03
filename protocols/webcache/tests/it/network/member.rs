//! Nodes of one overlay, each with a proxy that shares what it keeps.

use std::{collections::BTreeSet, sync::Arc};

use futures::StreamExt as _;
use guid::Guid;
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use libp2p_swarm::{NetworkBehaviour, Swarm, behaviour::toggle::Toggle};
use libp2p_swarm_test::SwarmExt as _;
use tokio::{sync::watch, task::JoinHandle};
use webcache::{Config, Networks, Peers, PeersConfig, Proxy, Scheme, Stats, Store, Trust};
use webcache_core::object_id;

use crate::origin::{Client, LIMIT, Origin, ROOM};

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p_swarm::derive_prelude")]
struct Both {
    overlay: overlay::Behaviour,
    web_cache: Toggle<webcache::Behaviour>,
}

/// A node.
pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) overlay: overlay::Handle,
    peer: PeerId,
    addr: Multiaddr,
    /// While it is set, nothing of its network moves.
    frozen: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Shared with everybody, at addresses of this machine too.
pub(crate) fn open(scheme: Scheme) -> PeersConfig {
    PeersConfig {
        scheme,
        trust: Trust::All,
        networks: Networks::parse(&["127.0.0.0/8"]).unwrap(),
        serve_bytes_per_second: None,
    }
}

impl Member {
    /// Enters the network that `others` are in, and waits until all know each other.
    pub(crate) async fn join(settings: Option<PeersConfig>, others: &[&Member]) -> Member {
        Member::join_with(Config::default(), settings, others).await
    }

    async fn join_with(
        config: Config,
        settings: Option<PeersConfig>,
        others: &[&Member],
    ) -> Member {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path(), ROOM).unwrap());
        let mut peers = None;
        let mut swarm = Swarm::new_ephemeral_tokio(|key| {
            let overlay = overlay::Behaviour::new(overlay::Config::default(), &key);
            let part = settings.map(|settings| {
                let handle = overlay.handle();
                Peers::new(config.clone(), settings, store.clone(), handle, 7)
            });
            let (handle, web_cache) = part.unzip();
            peers = handle;
            Both {
                overlay,
                web_cache: web_cache.into(),
            }
        });
        let (addr, _) = swarm.listen().await;
        let (overlay, peer) = (swarm.behaviour().overlay.handle(), *swarm.local_peer_id());
        for other in others {
            let known = &mut swarm.behaviour_mut().overlay;
            known.add_peer(other.peer, vec![other.addr.clone()]);
        }
        let (frozen, mut ice) = watch::channel(false);
        let task = tokio::spawn(async move {
            loop {
                let _ = ice.wait_for(|frozen| !frozen).await;
                tokio::select! {
                    _ = swarm.select_next_some() => {}
                    _ = ice.changed() => {}
                }
            }
        });
        let listen = "127.0.0.1:0".parse().unwrap();
        let proxy = match peers {
            Some(peers) => Proxy::bind_shared(listen, peers).await.unwrap(),
            None => Proxy::bind(listen, config, store.clone()).await.unwrap(),
        };
        let client = Client::serve(proxy, store, folder);
        let member = Member {
            client,
            overlay,
            peer,
            addr,
            frozen,
            task,
        };
        let all: Vec<&Member> = others.iter().copied().chain([&member]).collect();
        for one in &all {
            one.knows(&all).await;
        }
        member
    }

    /// So many that know each other.
    pub(crate) async fn network(settings: &PeersConfig, count: usize) -> Vec<Member> {
        Member::network_with(&Config::default(), settings, count).await
    }

    pub(crate) async fn network_with(
        config: &Config,
        settings: &PeersConfig,
        count: usize,
    ) -> Vec<Member> {
        let mut members: Vec<Member> = Vec::new();
        for _ in 0..count {
            let others: Vec<&Member> = members.iter().collect();
            let settings = Some(settings.clone());
            let member = Member::join_with(config.clone(), settings, &others).await;
            members.push(member);
        }
        members
    }

    /// Waits until it is a member of a network of these and no others.
    pub(crate) async fn knows(&self, all: &[&Member]) {
        let others = all.iter().map(|other| other.peer);
        let others: BTreeSet<PeerId> = others.filter(|peer| *peer != self.peer).collect();
        let knowing = async {
            self.overlay.active().await;
            let mut changes = self.overlay.changes();
            loop {
                let snapshot = self.overlay.snapshot();
                let leafs = snapshot.leaf_set.contacts().map(|leaf| leaf.peer);
                if leafs.collect::<BTreeSet<PeerId>>() == others {
                    return;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(LIMIT, knowing)
            .await
            .expect("the nodes find each other");
    }

    fn guid(&self) -> Guid {
        overlay::guid_of_peer(&self.peer)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.client.proxy.stats()
    }

    /// From now on nothing of it moves, but its connections stay.
    pub(crate) fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// Ends it without a word to anybody.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// The closest of these to a URL.
pub(crate) fn home_of(members: &[Member], url: &str) -> usize {
    let object = object_id(url, []);
    let all = members.iter().enumerate();
    let closest = all.min_by(|(_, a), (_, b)| object.cmp_distance(a.guid(), b.guid()));
    closest.unwrap().0
}

/// A path below `folder` at the origin whose home is that member.
pub(crate) fn path_at(members: &[Member], origin: &Origin, folder: &str, home: usize) -> String {
    let mut paths = (0..10_000).map(|number| format!("{folder}/{number}"));
    paths
        .find(|path| home_of(members, &origin.url(path)) == home)
        .unwrap()
}
