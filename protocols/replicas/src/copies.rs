//! The copies beyond this node's duty, and their publication (R17 to R20).
//!
//! Tapestry (Zhao et al., JSAC 2004, section III) and OceanStore (Kubiatowicz et al.,
//! ASPLOS 2000, section 4.3) serve a read from any copy near the reader, wherever it
//! happens to be. Here the copies that reads leave behind, and those that a put keeps at
//! the node it was made at, are published in the location layer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use guid::Guid;
use libp2p_swarm::StreamProtocol;
use overlay::{Contact, RouteError};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::collection::ItemId;
use crate::config::Config;
use crate::directory::Directory;
use crate::stats::Counters;

/// Publications begun and not ended. Each walks to five roots, and the location layer
/// has 128 walks under way at a time (L3) for all its users.
const MAX_PUBLISHING: usize = 8;

/// Publications taken back at one step. The copies they stand for may still be here: they
/// are taken back for want of budget, which has time.
const MAX_WITHDRAWN: usize = 8;

/// A publication that failed is tried again after so long: nodes that have no room for a
/// pointer now, or a network that is coming apart, are not helped by more of them.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The copies that this node publishes, and where it looks for those of others.
pub(crate) struct Copies {
    protocol: StreamProtocol,
    directory: Arc<dyn Directory>,
    budget: usize,
    every: Duration,
    list: Mutex<List>,
    changed: Notify,
}

/// What should be published and what is. A copy that is used again is moved to the end, so
/// that those used longest ago make room.
#[derive(Default)]
struct List {
    next: u64,
    order: BTreeMap<u64, ItemId>,
    wanted: HashMap<ItemId, u64>,
    published: HashSet<ItemId>,
    /// Being published or taken back.
    busy: HashSet<ItemId>,
    /// Not published, and not tried again before.
    failed: HashMap<ItemId, Instant>,
}

enum Step {
    Publish(ItemId),
    Withdraw(ItemId),
}

impl Copies {
    pub(crate) fn new(
        protocol: StreamProtocol,
        directory: Arc<dyn Directory>,
        config: &Config,
    ) -> Copies {
        Copies {
            protocol,
            directory,
            budget: config.published,
            every: config.publish_every,
            list: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// What the copies of an item are called in the location layer (R17).
    pub(crate) fn object(&self, id: &ItemId) -> Guid {
        Guid::hash(&[self.protocol.as_ref().as_bytes(), &[0], id].concat())
    }

    /// A copy beyond duty has been used: it is to be published, and is the last to make
    /// room for others.
    pub(crate) fn used(&self, id: &ItemId) {
        if self.budget == 0 {
            return;
        }
        let mut list = self.list.lock();
        let added = list.used(id, self.budget);
        list.check();
        drop(list);
        if added {
            self.changed.notify_one();
        }
    }

    /// The same for a copy that is perhaps none beyond duty; whether it is known as one.
    pub(crate) fn used_again(&self, id: &ItemId) -> bool {
        let mut list = self.list.lock();
        let known = list.wanted.contains_key(id);
        if known {
            list.used(id, self.budget);
        }
        known
    }

    /// There is no copy any more.
    pub(crate) fn lost(&self, id: &ItemId) {
        if self.list.lock().lost(id) {
            self.changed.notify_one();
        }
    }

    /// How many copies others can find.
    pub(crate) fn published(&self) -> usize {
        self.list.lock().published.len()
    }

    pub(crate) async fn locate(
        &self,
        id: &ItemId,
        count: usize,
    ) -> Result<Vec<Contact>, RouteError> {
        self.directory.locate(self.object(id), count).await
    }

    /// Publishes and takes back, a step every [`Config::publish_every`] while there is
    /// something to do.
    pub(crate) async fn run(&self, counters: &Counters) {
        let mut doing: FuturesUnordered<BoxFuture<'_, (Step, Result<(), RouteError>)>> =
            FuturesUnordered::new();
        loop {
            let steps = self.list.lock().plan(Instant::now());
            for step in steps {
                doing.push(Box::pin(self.do_step(step)));
            }
            if doing.is_empty() {
                let retry = self.list.lock().failed.values().min().copied();
                let retry = retry.unwrap_or_else(|| Instant::now() + RETRY_AFTER);
                tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(retry) => {}
                }
                continue;
            }
            let pause = sleep(self.every);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    Some((step, outcome)) = doing.next() => self.did_step(step, outcome, counters),
                    () = &mut pause => break,
                }
            }
        }
    }

    async fn do_step(&self, step: Step) -> (Step, Result<(), RouteError>) {
        let outcome = match &step {
            Step::Publish(id) => self.directory.publish(self.object(id)).await,
            Step::Withdraw(id) => self.directory.unpublish(self.object(id)).await,
        };
        (step, outcome)
    }

    fn did_step(&self, step: Step, outcome: Result<(), RouteError>, counters: &Counters) {
        let mut list = self.list.lock();
        match step {
            Step::Publish(id) => {
                list.busy.remove(&id);
                match outcome {
                    Ok(()) => {
                        counters.copies_published.one();
                        list.published.insert(id);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a copy was not published");
                        if list.wanted.contains_key(&id) {
                            list.failed.insert(id, Instant::now() + RETRY_AFTER);
                        }
                    }
                }
            }
            // Where nobody heard of it, the pointers expire.
            Step::Withdraw(id) => {
                list.busy.remove(&id);
            }
        }
        list.check();
    }
}

impl List {
    /// Whether the copy is new in the list.
    fn used(&mut self, id: &ItemId, budget: usize) -> bool {
        let number = self.next;
        self.next += 1;
        let before = self.wanted.insert(id.clone(), number);
        self.order.insert(number, id.clone());
        if let Some(before) = before {
            self.order.remove(&before);
            return false;
        }
        while self.wanted.len() > budget {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            self.wanted.remove(&oldest);
            self.failed.remove(&oldest);
        }
        true
    }

    fn lost(&mut self, id: &ItemId) -> bool {
        let Some(number) = self.wanted.remove(id) else {
            return false;
        };
        self.order.remove(&number);
        self.failed.remove(id);
        true
    }

    /// What to do now: take back what is to be published no more, and publish the copy
    /// used last of those that are not published.
    fn plan(&mut self, now: Instant) -> Vec<Step> {
        self.failed.retain(|_, until| *until > now);
        let stale: Vec<ItemId> = self
            .published
            .iter()
            .filter(|id| !self.wanted.contains_key(*id))
            .take(MAX_WITHDRAWN)
            .cloned()
            .collect();
        let mut steps = Vec::with_capacity(stale.len() + 1);
        for id in stale {
            self.published.remove(&id);
            self.busy.insert(id.clone());
            steps.push(Step::Withdraw(id));
        }
        if self.busy.len() < MAX_PUBLISHING {
            let unknown = |id: &&ItemId| {
                !self.published.contains(*id)
                    && !self.busy.contains(*id)
                    && !self.failed.contains_key(*id)
            };
            if let Some(id) = self.order.values().rev().find(unknown).cloned() {
                self.busy.insert(id.clone());
                steps.push(Step::Publish(id));
            }
        }
        steps
    }

    fn check(&self) {
        debug_assert_eq!(self.order.len(), self.wanted.len());
        debug_assert!(self.busy.is_disjoint(&self.published));
        debug_assert!(self.failed.keys().all(|id| !self.published.contains(id)));
    }
}
