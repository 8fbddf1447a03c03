//! A location layer the test can look into.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use guid::Guid;
use libp2p_identity::PeerId;
use overlay::{Contact, RouteError};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::net::Ring;

/// What everybody publishes.
#[derive(Default)]
pub(crate) struct Board {
    holders: Mutex<BTreeMap<Guid, Vec<Contact>>>,
    endless: AtomicBool,
    published: Mutex<Vec<Instant>>,
    most: AtomicUsize,
}

impl Board {
    pub(crate) fn holders(&self) -> Vec<PeerId> {
        let holders = self.holders.lock();
        holders.values().flatten().map(|one| one.peer).collect()
    }

    pub(crate) fn objects(&self) -> Vec<Guid> {
        let holders = self.holders.lock();
        let held = holders.iter().filter(|(_, holders)| !holders.is_empty());
        held.map(|(object, _)| *object).collect()
    }

    /// The most objects that were published at a time.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// When something was published.
    pub(crate) fn published(&self) -> Vec<Instant> {
        self.published.lock().clone()
    }

    /// From now on no search ends.
    pub(crate) fn never_ends(&self) {
        self.endless.store(true, Ordering::Relaxed);
    }

    /// Publishes for somebody else, before those who are there.
    pub(crate) fn add(&self, object: Guid, holder: Contact) {
        let mut all = self.holders.lock();
        all.entry(object).or_default().insert(0, holder);
    }
}

/// The board as one node sees it.
pub(crate) struct Posted {
    pub(crate) board: Arc<Board>,
    pub(crate) ring: Arc<Ring>,
    pub(crate) me: PeerId,
}

#[async_trait::async_trait]
impl replicas::Directory for Posted {
    async fn publish(&self, object: Guid) -> Result<(), RouteError> {
        self.board.published.lock().push(Instant::now());
        let mut all = self.board.holders.lock();
        let holders = all.entry(object).or_default();
        holders.retain(|holder| holder.peer != self.me);
        holders.push(self.ring.contact(self.me));
        let count = all.values().filter(|holders| !holders.is_empty()).count();
        self.board.most.fetch_max(count, Ordering::Relaxed);
        Ok(())
    }

    async fn unpublish(&self, object: Guid) -> Result<(), RouteError> {
        let mut all = self.board.holders.lock();
        let holders = all.entry(object).or_default();
        let before = holders.len();
        holders.retain(|holder| holder.peer != self.me);
        match holders.len() < before {
            true => Ok(()),
            false => Err(RouteError::NotPublished),
        }
    }

    async fn locate(&self, object: Guid, count: usize) -> Result<Vec<Contact>, RouteError> {
        if self.board.endless.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let all = self.board.holders.lock();
        let found = all.get(&object).cloned().unwrap_or_default();
        match found.is_empty() {
            true => Err(RouteError::NotFound),
            false => Ok(found.into_iter().take(count).collect()),
        }
    }
}
