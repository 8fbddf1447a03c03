//! Settings of the location layer: how objects are published and found
//! (`docs/specs/location.md`).

use std::time::Duration;

use overlay::{LocationConfig, MAX_LIFETIME_SECS, MAX_ROOTS, MAX_SPREAD};
use serde::{Deserialize, Serialize};

/// How objects are published and found. All nodes of a network need the same `roots`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Location {
    /// Roots of an object, each with a way of pointers that leads to it.
    pub roots: Roots,
    /// Nodes beside each root that are given the pointer too.
    pub root_copies: Spread,
    /// Other candidates for the next hop that are given the pointer too.
    pub backups: Spread,
    /// Nodes near a hop that are given the pointer too.
    pub neighbours: Spread,
    /// Hops, this node the first, beside which backups and neighbours are.
    pub spread_hops: u8,
    /// How long others keep a pointer to this node that is not renewed.
    pub lifetime_seconds: Seconds,
    /// This node renews its pointers this often.
    pub republish_seconds: Seconds,
    /// Objects this node publishes.
    pub max_publications: usize,
    /// Pointers this node keeps for others.
    pub max_pointers: usize,
    /// Of these, pointers to one publisher.
    pub max_pointers_of_publisher: usize,
    /// Of these, pointers for one object.
    pub max_pointers_of_object: usize,
}

/// A number within bounds that the network sets.
macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident($inner:ty), $least:expr, $most:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name($inner);

        impl $name {
            /// The number.
            pub fn get(self) -> $inner {
                self.0
            }
        }

        impl TryFrom<u64> for $name {
            type Error = String;

            fn try_from(number: u64) -> Result<Self, String> {
                let (least, most): ($inner, $inner) = ($least, $most);
                match <$inner>::try_from(number) {
                    Ok(number) if (least..=most).contains(&number) => Ok(Self(number)),
                    _ => Err(format!("{number} is not from {least} to {most}")),
                }
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> u64 {
                number.0.into()
            }
        }
    };
}

bounded!(
    /// How many roots an object has.
    Roots(u8),
    1,
    MAX_ROOTS
);
bounded!(
    /// How many nodes beside a way are given a pointer.
    Spread(u8),
    0,
    MAX_SPREAD
);
bounded!(
    /// A part of the day.
    Seconds(u32),
    1,
    MAX_LIFETIME_SECS
);

impl Default for Location {
    fn default() -> Self {
        let core = LocationConfig::default();
        // Far below a day each.
        let seconds = |span: Duration| Seconds(span.as_secs() as u32);
        Self {
            roots: Roots(core.roots),
            root_copies: Spread(core.root_copies),
            backups: Spread(core.backups),
            neighbours: Spread(core.neighbours),
            spread_hops: core.spread_hops,
            lifetime_seconds: seconds(core.lifetime),
            republish_seconds: seconds(core.republish),
            max_publications: core.max_publications,
            max_pointers: core.max_pointers,
            max_pointers_of_publisher: core.max_pointers_of_publisher,
            max_pointers_of_object: core.max_pointers_of_object,
        }
    }
}

impl Location {
    /// The same, as the overlay takes it.
    pub fn core(&self) -> LocationConfig {
        let span = |seconds: Seconds| Duration::from_secs(seconds.get().into());
        LocationConfig {
            roots: self.roots.get(),
            root_copies: self.root_copies.get(),
            backups: self.backups.get(),
            neighbours: self.neighbours.get(),
            spread_hops: self.spread_hops,
            lifetime: span(self.lifetime_seconds),
            republish: span(self.republish_seconds),
            max_publications: self.max_publications,
            max_pointers: self.max_pointers,
            max_pointers_of_publisher: self.max_pointers_of_publisher,
            max_pointers_of_object: self.max_pointers_of_object,
        }
    }

    /// What is wrong with settings that are right each alone: pointers would come and go.
    pub(super) fn clash(&self) -> Option<String> {
        let (lifetime, republish) = (self.lifetime_seconds, self.republish_seconds);
        (lifetime <= republish).then(|| {
            format!(
                "location.lifetime_seconds ({}) has to be more than location.republish_seconds ({})",
                lifetime.get(),
                republish.get()
            )
        })
    }
}
