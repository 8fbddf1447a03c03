//! Nodes on the memory transport, each driven by a task of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bitswap::{Behaviour, Config, Handle, Source};
use bytes::Bytes;
use cid::Cid;
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use libp2p_swarm::Swarm;
use libp2p_swarm_test::SwarmExt as _;
use multihash_codetable::{Code, MultihashDigest};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

/// Nothing of these tests takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(crate) struct Map(Mutex<HashMap<Cid, Bytes>>);

impl Map {
    pub(crate) fn put(&self, data: impl Into<Bytes>) -> Cid {
        let data = data.into();
        let cid = cid(&data);
        self.0.lock().insert(cid, data);
        cid
    }
}

#[async_trait::async_trait]
impl Source for Map {
    async fn has(&self, cid: &Cid) -> bool {
        self.0.lock().contains_key(cid)
    }

    async fn get(&self, cid: &Cid) -> Option<Bytes> {
        self.0.lock().get(cid).cloned()
    }
}

pub(crate) fn cid(data: &[u8]) -> Cid {
    Cid::new_v1(0x55, Code::Sha2_256.digest(data))
}

pub(crate) struct Node {
    pub(crate) peer: PeerId,
    pub(crate) addr: Multiaddr,
    pub(crate) handle: Handle,
    pub(crate) blocks: Arc<Map>,
    driver: JoinHandle<()>,
}

impl Node {
    pub(crate) async fn start() -> Node {
        Node::with(quick()).await
    }

    pub(crate) async fn with(config: Config) -> Node {
        let blocks = Arc::new(Map::default());
        let source: Arc<dyn Source> = blocks.clone();
        let mut swarm = Swarm::new_ephemeral_tokio(|_| Behaviour::new(config, source));
        let (addr, _) = swarm.listen().with_memory_addr_external().await;
        let peer = *swarm.local_peer_id();
        let handle = swarm.behaviour().handle();
        let driver = tokio::spawn(swarm.loop_on_next());
        Node {
            peer,
            addr,
            handle,
            blocks,
            driver,
        }
    }

    /// A session with these.
    pub(crate) async fn session(&self, peers: &[(PeerId, &Multiaddr)]) -> bitswap::Session {
        let session = self.handle.session().await;
        for (peer, addr) in peers {
            session.add_peer(*peer, vec![(*addr).clone()]).await;
        }
        session
    }

    pub(crate) fn place(&self) -> (PeerId, &Multiaddr) {
        (self.peer, &self.addr)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Shorter times, for what waits for them.
pub(crate) fn quick() -> Config {
    Config {
        have_timeout: Duration::from_millis(500),
        stall_timeout: Duration::from_millis(500),
        ..Config::default()
    }
}

/// Waits for something that somebody else does.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in time");
}
