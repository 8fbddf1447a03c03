//! How much is kept (CL5).

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// How long a store counts as full after it refused something for want of room, in seconds: as
/// long as who claims may take to claim again (CL5).
pub const FULL_FOR: u64 = 24 * 3_600;

/// How much a store keeps (CL5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Claims and releases.
    pub claims: u64,
}

impl Default for Limits {
    /// 4,194,304: about as many as 4 TiB of files in chunks of 1 MiB have blocks, and 600 MiB
    /// of disk.
    fn default() -> Limits {
        Limits { claims: 1 << 22 }
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Claims and releases, with those that have ended and are still to be dropped.
    pub claims: u64,
    /// So many at most.
    pub limit: u64,
}

/// Counts what is kept, and remembers when there was no room.
pub(crate) struct Room {
    limit: u64,
    kept: AtomicU64,
    /// Until when the store counts as full.
    full_until: AtomicU64,
}

impl Room {
    pub(crate) fn new(limits: Limits, kept: u64) -> Room {
        Room {
            limit: limits.claims,
            kept: AtomicU64::new(kept),
            full_until: AtomicU64::new(0),
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            claims: self.kept.load(Ordering::Acquire),
            limit: self.limit,
        }
    }

    /// Whether there is room for one more when `more` have been let in.
    pub(crate) fn has_room(&self, more: u64) -> bool {
        self.usage().claims.saturating_add(more) < self.limit
    }

    pub(crate) fn add(&self, count: u64) {
        self.kept.fetch_add(count, Ordering::AcqRel);
    }

    pub(crate) fn remove(&self, count: u64) {
        self.kept.fetch_sub(count, Ordering::AcqRel);
    }

    /// Notes that something was refused for want of room.
    pub(crate) fn refused(&self, now: u64) {
        let until = now.saturating_add(FULL_FOR);
        self.full_until.fetch_max(until, Ordering::AcqRel);
    }

    pub(crate) fn is_full(&self, now: u64) -> bool {
        !self.has_room(0) || now < self.full_until.load(Ordering::Acquire)
    }
}
