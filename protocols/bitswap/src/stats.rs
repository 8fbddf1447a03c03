//! What happened since the start.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a [`Behaviour`](crate::Behaviour).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Blocks written to peers.
    pub blocks_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Blocks that peers sent, whether they were wanted or not.
    pub blocks_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Blocks that came twice because they were asked of two peers.
    pub duplicates: u64,
    /// Blocks that were never asked for, or match nothing that was (Z14).
    pub unwanted: u64,
    /// Wants of peers that did not fit (Z7).
    pub wants_refused: u64,
    /// Streams that were reset because of what came on them (Z2), or because there were
    /// too many (Z17).
    pub bad_streams: u64,
    /// Messages that were given up because the peer took none (Z10).
    pub sends_failed: u64,
}

/// One of the counters.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) blocks_sent: Count,
    pub(crate) bytes_sent: Count,
    pub(crate) blocks_received: Count,
    pub(crate) bytes_received: Count,
    pub(crate) duplicates: Count,
    pub(crate) unwanted: Count,
    /// Blocks that nobody could have asked for, since nothing was wanted at all.
    pub(crate) unasked: Count,
    pub(crate) wants_refused: Count,
    pub(crate) bad_streams: Count,
    pub(crate) sends_failed: Count,
}

impl Counters {
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            blocks_sent: self.blocks_sent.get(),
            bytes_sent: self.bytes_sent.get(),
            blocks_received: self.blocks_received.get(),
            bytes_received: self.bytes_received.get(),
            duplicates: self.duplicates.get(),
            unwanted: self.unwanted.get() + self.unasked.get(),
            wants_refused: self.wants_refused.get(),
            bad_streams: self.bad_streams.get(),
            sends_failed: self.sends_failed.get(),
        }
    }
}
