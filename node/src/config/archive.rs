//! Settings of the archive (`docs/specs/archive.md`).

use std::{num::NonZeroU32, time::Duration};

use guid::Guid;
use serde::{Deserialize, Serialize};

/// Room for manifests: they are small, and a quarter of it is the most that one owner has, and
/// three quarters all others than this node's own.
const MANIFEST_BYTES: u64 = 1 << 30;

/// Bytes of the disk that stay free, as for blocks.
const KEEP_FREE: u64 = 128 << 20;

/// Fragments of archived versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// Room for fragments, in GiB; 0 is bounded by the disk alone.
    pub max_gib: u32,
    /// Most that the repair of archives moves in a second, in MiB.
    pub repair_mib: NonZeroU32,
    /// How often the fragments of an archive are counted.
    pub sweep_seconds: NonZeroU32,
    /// How long a version has to be the newest before it is archived by itself.
    pub settle_seconds: u32,
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            max_gib: 0,
            // What leaves most of a slow uplink to people.
            repair_mib: NonZeroU32::new(8).expect("8 is not 0"),
            sweep_seconds: NonZeroU32::new(600).expect("600 is not 0"),
            // A program that saves every few seconds does not have each of them archived.
            settle_seconds: 60,
        }
    }
}

impl Archive {
    /// The room for fragments.
    pub(crate) fn fragments(&self, own: Guid) -> archive::Limits {
        let bytes = match self.max_gib {
            0 => u64::MAX,
            gib => u64::from(gib) << 30,
        };
        archive::Limits {
            bytes,
            of_one: bytes,
            of_others: bytes,
            own,
            keep_free: KEEP_FREE,
        }
    }

    /// The room for manifests.
    pub(crate) fn manifests(&self, own: Guid) -> archive::Limits {
        archive::Limits {
            bytes: MANIFEST_BYTES,
            of_one: MANIFEST_BYTES / 4,
            of_others: MANIFEST_BYTES / 4 * 3,
            own,
            keep_free: KEEP_FREE,
        }
    }

    /// How long a version has to be the newest before it is archived by itself.
    pub(crate) fn settle(&self) -> Duration {
        Duration::from_secs(self.settle_seconds.into())
    }

    /// How archives are looked after.
    pub(crate) fn handling(&self) -> archive::Config {
        archive::Config {
            sweep_every: Duration::from_secs(self.sweep_seconds.get().into()),
            repair_bytes_per_second: u64::from(self.repair_mib.get()) << 20,
        }
    }
}
