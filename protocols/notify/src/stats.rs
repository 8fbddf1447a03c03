//! Plain counters; names and labels live in the node.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened on a channel since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Statements of others that were good and went on to others.
    pub accepted: u64,
    /// Forged, malformed, or on a topic that is not theirs.
    pub rejected: u64,
    /// Behind what is known.
    pub ignored: u64,
    /// Own statements.
    pub announced: u64,
    /// Questions for what is newest.
    pub asked: u64,
    /// Those that failed.
    pub ask_failed: u64,
    /// Subjects followed now.
    pub followed: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) accepted: Counter,
    pub(crate) rejected: Counter,
    pub(crate) ignored: Counter,
    pub(crate) announced: Counter,
    pub(crate) asked: Counter,
    pub(crate) ask_failed: Counter,
    pub(crate) followed: Counter,
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            accepted: self.accepted.get(),
            rejected: self.rejected.get(),
            ignored: self.ignored.get(),
            announced: self.announced.get(),
            asked: self.asked.get(),
            ask_failed: self.ask_failed.get(),
            followed: self.followed.get(),
        }
    }
}
