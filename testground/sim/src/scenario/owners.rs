//! For how long keys have two owners: while a network is in pieces, or heals.

use std::time::Duration;

use guid::Guid;
use overlay_core::Time;

use crate::Sim;
use crate::dice::{Dice, Purpose};

/// Keys watched.
const KEYS: usize = 128;

/// Of the active nodes, those closest to a key that may take themselves for its owner.
const CANDIDATES: usize = 24;

/// Keys, and since when each has had two owners.
pub(super) struct Owners {
    keys: Vec<(Guid, Option<Time>)>,
    longest: Duration,
}

impl Owners {
    pub(super) fn new(seed: u64) -> Owners {
        let mut dice = Dice::new(seed, Purpose::Lookups);
        Owners {
            keys: (0..KEYS).map(|_| (dice.guid(), None)).collect(),
            longest: Duration::ZERO,
        }
    }

    /// From here on it counts anew.
    pub(super) fn restart(&mut self) {
        self.longest = Duration::ZERO;
        for (_, since) in &mut self.keys {
            *since = None;
        }
    }

    /// Looks at every key.
    pub(super) fn look(&mut self, sim: &Sim) {
        let now = sim.now();
        for (key, since) in &mut self.keys {
            let owners = sim
                .ring()
                .closest(*key, CANDIDATES)
                .into_iter()
                .filter_map(|node| sim.overlay(node))
                .filter(|overlay| {
                    let first = overlay
                        .replica_set(*key, 1)
                        .and_then(|set| set.into_iter().next());
                    first.is_some_and(|first| first.guid == overlay.me().guid)
                })
                .count();
            if owners < 2 {
                *since = None;
            } else {
                let begin = *since.get_or_insert(now);
                self.longest = self.longest.max(now.since(begin));
            }
        }
    }

    /// The longest that any key had two.
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }
}
