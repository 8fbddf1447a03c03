//! Plain counters; names and labels live in the node.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What happened since the start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct Stats { $($(#[$doc])* pub $name: u64,)* }

        #[derive(Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }
}

counters! {
    /// Requests answered for peers.
    requests_served,
    /// Requests of peers refused: malformed, over a bound, or the store could not.
    requests_refused,
    /// Streams of peers closed because what came on them broke the protocol.
    bad_streams,
    /// Item bytes received from peers, asked for or offered.
    bytes_received,
    /// Item bytes sent to peers.
    bytes_sent,
    /// Items got from peers.
    items_fetched,
    /// Items that peers stored for us.
    items_placed,
    /// Items whose bytes did not match their name.
    mismatches,
    /// Requests that got no answer in time.
    timeouts,
    /// Second peers asked because the first was slow.
    hedges,
    /// Searches for a copy that is nearer, or the only one left.
    searches,
    /// Items got from a copy that a search has found.
    copies_fetched,
    /// Copies that a search has found and that were not there, or not what they should be.
    copies_missed,
    /// Copies beyond duty published.
    copies_published,
    /// Items got and not kept as a copy, because the cache did not keep up.
    copies_skipped,
    /// Reconciliations with a neighbour that ran to their end.
    reconciled,
    /// Reconciliations that failed on the way.
    reconcile_failed,
    /// Items received while reconciling.
    repair_pulled,
    /// Items sent while reconciling or repairing.
    repair_pushed,
    /// Repairs given up for this round because the queue was full or peers unreachable.
    repair_dropped,
    /// Local copies that were found corrupted.
    corrupted,
}
