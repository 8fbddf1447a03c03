//! Settings of the location layer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ConfigError;
use crate::location::message::{MAX_ROOTS, MAX_SPREAD};

/// Settings of the location layer. All nodes of a network need the same `roots`; the
/// rest is each node's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocationConfig {
    /// Roots of an object, each with a path of pointers that leads to it (L2).
    pub roots: u8,
    /// How long a pointer that is not renewed is kept.
    pub lifetime: Duration,
    /// A publisher renews its pointers this often.
    pub republish: Duration,
    /// Nodes next to a root that are given its pointers too (L6).
    pub root_copies: u8,
    /// Other candidates for the next hop that are given pointers too: Tapestry's k.
    pub backups: u8,
    /// Nodes near a hop that are given pointers too: Tapestry's l.
    pub neighbours: u8,
    /// Hops at which backups and neighbours are given pointers: Tapestry's m.
    pub spread_hops: u8,
    /// Objects this node publishes.
    pub max_publications: usize,
    /// Pointers this node keeps for others.
    pub max_pointers: usize,
    /// Of these, pointers to one publisher.
    pub max_pointers_of_publisher: usize,
    /// Of these, pointers for one object.
    pub max_pointers_of_object: usize,
}

impl Default for LocationConfig {
    fn default() -> Self {
        LocationConfig {
            // A search takes the root whose way promises to be the shortest. With 5 to choose
            // from, and the copies below, the median way to an object is below twice the
            // direct one at every distance but the nearest (`sim table objects`): 24 pointers
            // an object. With 3 roots and a copy each it takes 9 and is 1.9 times in the
            // median, and 2.8 times for objects that are rather near.
            roots: 5,
            lifetime: Duration::from_secs(15 * 60),
            // Two renewals may be lost before a pointer is.
            republish: Duration::from_secs(5 * 60),
            // The nodes next to a root share its first digits, so that a search often meets
            // one of them a hop before the root.
            root_copies: 2,
            // With these an object close by is found without a detour.
            backups: 1,
            neighbours: 3,
            spread_hops: 1,
            // Some 4 KiB each here, and an entry at two dozen other nodes.
            max_publications: 4096,
            // Some 200 bytes each.
            max_pointers: 65_536,
            max_pointers_of_publisher: 4096,
            // A search needs a few; more are found by other paths.
            max_pointers_of_object: 32,
        }
    }
}

impl LocationConfig {
    /// Checks that the settings can work.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=MAX_ROOTS).contains(&self.roots) {
            return Err(ConfigError::Roots(self.roots));
        }
        for (name, value) in [
            ("root_copies", self.root_copies),
            ("backups", self.backups),
            ("neighbours", self.neighbours),
        ] {
            if value > MAX_SPREAD {
                return Err(ConfigError::Spread(name, value));
            }
        }
        if self.republish.is_zero() {
            return Err(ConfigError::Zero("location.republish"));
        }
        if self.lifetime <= self.republish {
            return Err(ConfigError::Lifetime);
        }
        Ok(())
    }
}
