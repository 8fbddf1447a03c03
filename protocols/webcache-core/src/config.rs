//! Settings of the cache.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::MAX_DELEGATES;

/// Where the bodies are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// At the home, and at who asked (section 4.2 of the paper).
    #[default]
    HomeStore,
    /// At who asked lately; the home knows who that is (section 4.3).
    Directory,
}

/// Settings of a node's part.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the bodies are. All nodes must agree.
    pub scheme: Scheme,
    /// Delegates of an entry, from 1 to [`MAX_DELEGATES`].
    pub delegates: usize,
    /// How long a home or delegate may be silent (Q5).
    pub home_timeout: Duration,
    /// How long it may be after it has said `wait`, and how long an asker may be at the origin.
    pub wait_timeout: Duration,
    /// How long an object is remembered to be private (Q6).
    pub private_for: Duration,
    /// Time between two offers (Q12).
    pub offer_interval: Duration,
    /// Bodies that a new home gets at a time.
    pub max_pulls: usize,
    /// Objects asked for at a time, by this node and at it.
    pub max_asks: usize,
    /// Who waits for one of them.
    pub max_waiting: usize,
    /// Places at a home that one peer may have among those who wait, or are at the origin for the
    /// others, over all objects. It has one for an object, whatever this says.
    pub max_places: usize,
    /// Objects that a node is the home of; also those it is handed or hands over.
    pub max_entries: usize,
    /// Objects that are remembered to be private.
    pub max_private: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            scheme: Scheme::HomeStore,
            delegates: MAX_DELEGATES,
            home_timeout: Duration::from_secs(2),
            wait_timeout: Duration::from_secs(60),
            private_for: Duration::from_secs(300),
            offer_interval: Duration::from_secs(1),
            max_pulls: 8,
            max_asks: 1024,
            max_waiting: 1024,
            max_places: 64,
            max_entries: 65_536,
            max_private: 4096,
        }
    }
}

/// Settings that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Delegates out of range.
    #[error("delegates must be from 1 to {MAX_DELEGATES}")]
    Delegates,
    /// A bound of zero: nothing would ever be done.
    #[error("{0} must not be 0")]
    Zero(&'static str),
}

impl Config {
    /// Whether the settings can be.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=MAX_DELEGATES).contains(&self.delegates) {
            return Err(ConfigError::Delegates);
        }
        let bounds = [
            ("max_pulls", self.max_pulls),
            ("max_asks", self.max_asks),
            ("max_waiting", self.max_waiting),
            ("max_places", self.max_places),
            ("max_entries", self.max_entries),
            ("max_private", self.max_private),
        ];
        match bounds.into_iter().find(|(_, bound)| *bound == 0) {
            Some((name, _)) => Err(ConfigError::Zero(name)),
            None => Ok(()),
        }
    }
}
