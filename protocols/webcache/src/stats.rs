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
    /// Answers that were kept.
    pub stored: u64,
    /// Answered with what a peer had.
    pub peer_hits: u64,
    /// Answered with what a peer got from the origin for it.
    pub peer_misses: u64,
    /// Answered from the store after a peer said that it is current.
    pub peer_validated: u64,
    /// Homes and delegates that were silent or out of reach.
    pub peers_silent: u64,
    /// Answers of peers that could not be used: not what was asked for, or against the rules.
    pub peers_wrong: u64,
    /// Bodies that had not the digest that they should have.
    pub wrong_digests: u64,
    /// Bodies given to peers.
    pub served: u64,
    /// Bytes of them.
    pub served_bytes: u64,
    /// Questions of peers.
    pub asked: u64,
    /// Origins asked on behalf of peers.
    pub fetched_for_peers: u64,
    /// Origins that were not asked on behalf of peers, since they are none of the public's.
    pub not_public: u64,
    /// Objects taken over as their new home.
    pub taken_over: u64,
    /// Connections of clients for which there was no place.
    pub refused: u64,
    /// Connections to hosts whose TLS ended here.
    pub intercepted: u64,
    /// Of clients that did not come to speak TLS there: they do not trust the authority, or asked
    /// for another name.
    pub not_intercepted: u64,
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
    pub(crate) peer_hits: AtomicU64,
    pub(crate) peer_misses: AtomicU64,
    pub(crate) peer_validated: AtomicU64,
    pub(crate) peers_silent: AtomicU64,
    pub(crate) peers_wrong: AtomicU64,
    pub(crate) wrong_digests: AtomicU64,
    pub(crate) served: AtomicU64,
    pub(crate) served_bytes: AtomicU64,
    pub(crate) asked: AtomicU64,
    pub(crate) fetched_for_peers: AtomicU64,
    pub(crate) not_public: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) intercepted: AtomicU64,
    pub(crate) not_intercepted: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
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
            peer_hits: get(&self.peer_hits),
            peer_misses: get(&self.peer_misses),
            peer_validated: get(&self.peer_validated),
            peers_silent: get(&self.peers_silent),
            peers_wrong: get(&self.peers_wrong),
            wrong_digests: get(&self.wrong_digests),
            served: get(&self.served),
            served_bytes: get(&self.served_bytes),
            asked: get(&self.asked),
            fetched_for_peers: get(&self.fetched_for_peers),
            not_public: get(&self.not_public),
            // The core counts these.
            taken_over: 0,
            refused: get(&self.refused),
            intercepted: get(&self.intercepted),
            not_intercepted: get(&self.not_intercepted),
        }
    }
}
