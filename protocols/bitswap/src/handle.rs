//! What applications hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cid::Cid;
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use tokio::sync::oneshot;

use crate::client::{GetId, Input, SessionId};
use crate::error::GetError;
use crate::shared::{Event, Shared};
use crate::stats::Stats;

/// Names of sessions and gets: each is used once in a process.
static NEXT: AtomicU64 = AtomicU64::new(0);

fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Gets blocks from peers. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Handle {
        Handle { shared }
    }

    /// A session without peers. Where [`MAX_SESSIONS`](crate::MAX_SESSIONS) are open, its
    /// gets fail.
    pub async fn session(&self) -> Session {
        let session = Session {
            id: next(),
            shared: Arc::clone(&self.shared),
        };
        self.shared.tell(Input::Open(session.id)).await;
        session
    }

    /// One block from any of these peers. Dropping the future cancels it.
    ///
    /// # Errors
    ///
    /// When nobody of them delivers it.
    pub async fn get(
        &self,
        cid: Cid,
        peers: impl IntoIterator<Item = PeerId>,
    ) -> Result<Bytes, GetError> {
        let session = self.session().await;
        for peer in peers {
            session.add_peer(peer, Vec::new()).await;
        }
        session.get(cid).await
    }

    /// Says that a block is here now: peers that wait for it get it.
    pub fn arrived(&self, cid: &Cid) {
        self.shared.arrived(cid);
    }

    /// Wants of peers that wait for a block.
    pub fn wants_of_peers(&self) -> usize {
        self.shared.wants.lock().len()
    }

    /// What happened since the start.
    pub fn stats(&self) -> Stats {
        self.shared.counters.stats()
    }
}

/// Gets that share what is known of their peers: who has delivered is asked first. It is
/// closed, and its gets fail, when it is dropped.
pub struct Session {
    id: SessionId,
    shared: Arc<Shared>,
}

impl Session {
    /// Adds a peer, which is dialled at these addresses and those that other behaviours know,
    /// when it is wanted. Beyond [`MAX_SESSION_PEERS`](crate::MAX_SESSION_PEERS) peers nothing happens.
    pub async fn add_peer(&self, peer: PeerId, addrs: Vec<Multiaddr>) {
        if !addrs.is_empty() {
            self.shared.peer(peer).add_addrs(addrs);
        }
        self.shared.tell(Input::AddPeer(self.id, peer)).await;
    }

    /// A block, verified. Dropping the future cancels it.
    ///
    /// # Errors
    ///
    /// When nobody of the session's peers delivers it.
    pub async fn get(&self, cid: Cid) -> Result<Bytes, GetError> {
        let (reply, outcome) = oneshot::channel();
        let cancel = Cancel {
            get: next(),
            shared: &self.shared,
        };
        let event = Event::Get(self.id, cancel.get, cid, reply);
        let sent = self.shared.events.send(event).await;
        sent.map_err(|_| GetError::Stopped)?;
        let outcome = outcome.await.unwrap_or(Err(GetError::Stopped));
        std::mem::forget(cancel);
        outcome
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.tell_later(Input::Close(self.id));
    }
}

/// Cancels a get whose outcome nobody waits for any more.
struct Cancel<'a> {
    get: GetId,
    shared: &'a Arc<Shared>,
}

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        self.shared.tell_later(Input::Cancel(self.get));
    }
}
