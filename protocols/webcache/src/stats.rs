//! Counters.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a proxy has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests of clients, `CONNECT` included.
    pub requests: u64,
    /// Answered from the store.
    pub hits: u64,
    /// Answered from the store after the origin said that it is current.
    pub validated: u64,
    /// Answered from what was on its way for another client.
    pub collapsed: u64,
    /// Answered by an origin.
    pub misses: u64,
    /// Refused, or without an answer.
    pub failed: u64,
    /// Answers of origins that were kept.
    pub stored: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) hits: AtomicU64,
    pub(crate) validated: AtomicU64,
    pub(crate) collapsed: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) stored: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            requests: get(&self.requests),
            hits: get(&self.hits),
            validated: get(&self.validated),
            collapsed: get(&self.collapsed),
            misses: get(&self.misses),
            failed: get(&self.failed),
            stored: get(&self.stored),
        }
    }
}
