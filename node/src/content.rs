//! Blocks from here, from the network of Hedgerow nodes, and from other IPFS peers of the LAN
//! (C1 to C4 of `docs/specs/content.md`).

mod held;

use std::{
    collections::{BTreeSet, VecDeque},
    num::NonZeroUsize,
    sync::{Arc, Weak},
    time::Duration,
};

use bitswap::{Session, as_kept};
use blocks::{Block, GetError};
use bytes::Bytes;
use cid::Cid;
use futures::future::{Either, join_all, select};
use libp2p::PeerId;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::timeout};

use crate::network::{Network, key_of_cid};
use held::Held;

/// How long the search for providers may take: Kademlia on a LAN needs a fraction of it, and
/// with dead peers in its table never ends sooner.
const LOOKUP: Duration = Duration::from_secs(5);

/// How long one block may take from elsewhere, whatever the peers do: many may share a slow link,
/// and who stands still is left long before (Z13).
const FETCH: Duration = Duration::from_secs(600);

/// Searches at a time; each holds streams to several peers.
const MAX_SEARCHES: usize = 16;

/// Peers that are asked for one block: providers, and those connected anyway.
const MAX_PEERS: usize = 16;

/// Blocks whose way is remembered, as parts of what came from elsewhere.
const MAX_PARTS: usize = 65_536;

/// Sessions that are kept for further blocks.
const MAX_SESSIONS: usize = 64;

/// Protocols by which a peer shows that it is a Hedgerow node start with this.
const OUR_OVERLAY: &str = "/hedgerow/overlay/";

/// Gets blocks from wherever they are.
#[derive(Clone)]
pub(crate) struct Content(Arc<Inner>);

struct Inner {
    blocks: blocks::Handle,
    bitswap: bitswap::Handle,
    network: Network,
    searches: Semaphore,
    ways: Mutex<Ways>,
    held: Mutex<Held>,
}

/// Where the parts of what came from elsewhere are.
struct Ways {
    parts: LruCache<Cid, Weak<Session>>,
    sessions: VecDeque<Arc<Session>>,
}

impl Content {
    pub(crate) fn new(blocks: blocks::Handle, bitswap: bitswap::Handle, network: Network) -> Self {
        let parts = NonZeroUsize::new(MAX_PARTS).expect("not zero");
        Self(Arc::new(Inner {
            blocks,
            bitswap,
            network,
            searches: Semaphore::new(MAX_SEARCHES),
            ways: Mutex::new(Ways {
                parts: LruCache::new(parts),
                sessions: VecDeque::new(),
            }),
            held: Mutex::new(Held::default()),
        }))
    }

    /// The block, verified. The error is that of the Hedgerow network, which was asked as well.
    pub(crate) async fn get(&self, cid: &Cid) -> Result<Bytes, GetError> {
        let inner = &self.0;
        let cid = as_kept(cid);
        // What has no bytes needs nobody to give it; kubo does not (C1).
        if Block::new(cid, Bytes::new()).is_ok() {
            return Ok(Bytes::new());
        }
        // C9: who has just given it may not do so again.
        if let Some(bytes) = inner.held.lock().get(&cid) {
            return Ok(bytes);
        }
        // C3: who gave the whole is asked for its parts first.
        if let Some(session) = inner.way(&cid) {
            if let Some(bytes) = inner.blocks.get_local(&cid).await.unwrap_or(None) {
                return Ok(bytes);
            }
            if let Some(bytes) = inner.take(&cid, &session).await {
                return Ok(bytes);
            }
        }
        let error = match inner.blocks.get(&cid).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        let elsewhere = match &error {
            GetError::NotFound { .. }
            | GetError::Damaged { .. }
            | GetError::MayBeLost { .. }
            | GetError::Unavailable { .. }
            | GetError::Timeout { .. }
            | GetError::Placement(_) => inner.search(&cid).await,
            GetError::Invalid | GetError::Local(_) => None,
        };
        elsewhere.ok_or(error)
    }
}

impl Inner {
    /// The session that brought what this block is a part of.
    fn way(&self, cid: &Cid) -> Option<Arc<Session>> {
        self.ways.lock().parts.get(cid)?.upgrade()
    }

    /// Looks for a block at peers that are no Hedgerow nodes (C2).
    async fn search(&self, cid: &Cid) -> Option<Bytes> {
        let _turn = self.searches.acquire().await.ok()?;
        let session = Arc::new(self.bitswap.session().await);
        let connected = self.connected().await;
        for peer in &connected {
            session.add_peer(*peer, Vec::new()).await;
        }
        let direct = Box::pin(self.take(cid, &session));
        let lookup = Box::pin(self.add_providers(cid, &session, &connected));
        let (bytes, found) = match select(direct, lookup).await {
            Either::Left((Some(bytes), _)) => (Some(bytes), false),
            Either::Left((None, lookup)) => (None, lookup.await),
            // Whom the lookup found is asked within the get that is under way.
            Either::Right((found, direct)) => (direct.await, found),
        };
        let bytes = match bytes {
            None if found => self.take(cid, &session).await,
            bytes => bytes,
        }?;
        let mut ways = self.ways.lock();
        ways.sessions.push_back(session);
        if ways.sessions.len() > MAX_SESSIONS {
            ways.sessions.pop_front();
        }
        Some(bytes)
    }

    /// The block from the peers of a session, and whatever follows from it.
    async fn take(&self, cid: &Cid, session: &Arc<Session>) -> Option<Bytes> {
        let bytes = match timeout(FETCH, session.get(*cid)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                tracing::debug!(%cid, %error, "not got by bitswap");
                return None;
            }
            Err(_) => return None,
        };
        self.held.lock().add(*cid, bytes.clone());
        let parts = blocks::links(cid, &bytes).unwrap_or_default();
        self.note(&parts, session);
        // C4: hashed by bitswap and once more here; it is kept as a copy.
        let (name, content) = (*cid, bytes.clone());
        let block = replicas::hashing::run(move || Block::new(name, content)).await;
        if let Some(Ok(block)) = block {
            self.blocks.keep_copy(&block);
        }
        Some(bytes)
    }

    /// Remembers who gave what these blocks are parts of.
    fn note(&self, parts: &[Cid], session: &Arc<Session>) {
        let mut ways = self.ways.lock();
        for part in parts {
            ways.parts.put(as_kept(part), Arc::downgrade(session));
        }
    }

    /// Connected peers that speak bitswap and are of no network of ours, whose nodes have
    /// been asked already.
    async fn connected(&self) -> BTreeSet<PeerId> {
        let foreign = |protocols: &[String]| {
            let speaks = |wanted: &str| protocols.iter().any(|name| name.starts_with(wanted));
            speaks("/ipfs/bitswap/1.") && !speaks(OUR_OVERLAY)
        };
        let peers = self.network.peers().await;
        let foreign = peers.iter().filter(|peer| foreign(&peer.protocols));
        foreign.map(|peer| peer.peer).take(MAX_PEERS).collect()
    }

    /// Adds those who say in Kademlia that they have it; whether there are any.
    async fn add_providers(
        &self,
        cid: &Cid,
        session: &Session,
        connected: &BTreeSet<PeerId>,
    ) -> bool {
        let providers = timeout(LOOKUP, self.network.kad_providers(key_of_cid(cid))).await;
        let Ok(Ok(mut providers)) = providers else {
            return false;
        };
        providers.retain(|peer| !connected.contains(peer));
        providers.truncate(MAX_PEERS);
        let adding = providers.iter().map(|peer| async move {
            let addrs = timeout(LOOKUP, self.network.kad_peer(*peer)).await;
            let addrs = addrs.ok().and_then(Result::ok).unwrap_or_default();
            session.add_peer(*peer, addrs).await;
        });
        join_all(adding).await;
        !providers.is_empty()
    }
}
