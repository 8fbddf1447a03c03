//! Settings of the store of blocks (`docs/specs/upkeep.md`).

use std::{num::NonZeroU32, path::Path, time::Duration};

use replicas::{StoreError, engine_error::free_on_disk};
use serde::{Deserialize, Serialize};

/// Of what a node found at its start, so many tenths are its budget (I1).
const BUDGET_TENTHS: u64 = 9;

/// What is kept in blocks, and how it is looked after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Room for blocks, in MiB; 0 is nine tenths of what is free at the start and kept.
    pub max_mib: u32,
    /// How often every block is read and hashed, in days; 0 is never.
    pub scrub_days: u32,
    /// Most that is read for that in a second, in MiB.
    pub scrub_mib: NonZeroU32,
    /// How long a block is kept that nobody needs any more, in hours.
    pub grace_hours: u32,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            max_mib: 0,
            scrub_days: 7,
            // What no disk notices: 100 GiB take 14 hours.
            scrub_mib: NonZeroU32::new(2).expect("2 is not 0"),
            grace_hours: 24,
        }
    }
}

impl Store {
    /// Bytes of blocks that may be kept in `folder`. Reads the lengths of the files there.
    pub(crate) fn budget(&self, folder: &Path) -> Result<u64, StoreError> {
        match self.max_mib {
            0 => {
                let there = free_on_disk(folder)?.saturating_add(length_of(folder));
                Ok(there / 10 * BUDGET_TENTHS)
            }
            mib => Ok(u64::from(mib) << 20),
        }
    }

    /// How what is kept is looked after.
    pub(crate) fn upkeep(&self) -> upkeep::Config {
        let day = Duration::from_secs(86_400);
        upkeep::Config {
            scrub_every: (self.scrub_days > 0).then(|| day * self.scrub_days),
            scrub_bytes_per_second: u64::from(self.scrub_mib.get()) << 20,
            grace: Duration::from_secs(3600) * self.grace_hours,
            ..upkeep::Config::default()
        }
    }
}

/// Bytes of all files in a folder and below. One that cannot be looked at counts as none: the
/// engine is at work there.
fn length_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let lengths = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => length_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    lengths.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_what_is_said_or_most_of_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let said = Store {
            max_mib: 3,
            ..Store::default()
        };
        assert_eq!(said.budget(folder.path()).unwrap(), 3 << 20);
        let below = folder.path().join("tables");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(below.join("one"), vec![0; 1000]).unwrap();
        std::fs::write(folder.path().join("two"), vec![0; 24]).unwrap();
        assert_eq!(length_of(folder.path()), 1024);
        let most = Store::default().budget(folder.path()).unwrap();
        assert!(most > 0);
        assert!(most < u64::MAX / 2);
    }

    #[test]
    fn no_days_are_never() {
        let never = Store {
            scrub_days: 0,
            ..Store::default()
        };
        assert_eq!(never.upkeep().scrub_every, None);
        let week = Store::default().upkeep().scrub_every;
        assert_eq!(week, Some(Duration::from_secs(604_800)));
    }
}
