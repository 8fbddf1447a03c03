//! What can be set.

use std::time::Duration;

use crate::packet::Service;

/// The service all libp2p implementations ask for.
pub const DEFAULT_SERVICE: &str = "_p2p._udp.local";

/// Shortest first query interval accepted: below it a node would be a burden
/// to its link.
pub const MIN_QUERY_INTERVAL: Duration = Duration::from_millis(100);

/// Longest interval accepted: a node that asks less than once a day discovers
/// nothing.
pub const MAX_QUERY_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest time to live announced, and longest time an address is kept without
/// being heard again (M10): the usual one of RFC 6762, section 10.
pub const MAX_TTL: Duration = Duration::from_secs(75 * 60);

/// Shortest time to live accepted: shorter ones would expire before the next
/// query had been answered.
pub const MIN_TTL: Duration = Duration::from_secs(2);

/// Settings of a [`Behaviour`](crate::Behaviour).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// DNS name of the service: [`DEFAULT_SERVICE`], or for a private network
    /// `_p2p-FINGERPRINT._udp.local`.
    pub service: String,
    /// Time from the first query on an interface to the second; each further
    /// one is twice as long.
    pub first_interval: Duration,
    /// Longest time between two queries.
    pub max_interval: Duration,
    /// How long others may keep our addresses without hearing of them again.
    pub ttl: Duration,
    /// Known addresses heard again are reported again, but at most once in
    /// this time, so that peers are found again after a partition.
    pub report_again: Duration,
    /// Use loopback interfaces as well. Off: only peers of the same machine
    /// are there.
    pub loopback: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service: DEFAULT_SERVICE.to_owned(),
            first_interval: Duration::from_millis(500),
            max_interval: Duration::from_secs(5 * 60),
            ttl: Duration::from_secs(6 * 60),
            report_again: Duration::from_secs(30),
            loopback: false,
        }
    }
}

/// Why a [`Config`] cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The service is no DNS name of at least two labels below `local`.
    #[error("\"{0}\" is not a service name such as {DEFAULT_SERVICE}")]
    Service(String),
    /// The query intervals are too short or too long, or the first is longer
    /// than the longest.
    #[error(
        "query intervals must be {MIN_QUERY_INTERVAL:?} to {MAX_QUERY_INTERVAL:?}, the first not above the longest"
    )]
    Intervals,
    /// The time to live is too short or too long.
    #[error("the time to live must be {MIN_TTL:?} to {MAX_TTL:?}")]
    Ttl,
}

impl Config {
    /// Checks all settings.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.service().map(drop)
    }

    pub(crate) fn service(&self) -> Result<Service, ConfigError> {
        if self.first_interval < MIN_QUERY_INTERVAL
            || self.first_interval > self.max_interval
            || self.max_interval > MAX_QUERY_INTERVAL
        {
            return Err(ConfigError::Intervals);
        }
        if self.ttl < MIN_TTL || self.ttl > MAX_TTL {
            return Err(ConfigError::Ttl);
        }
        Service::new(&self.service).ok_or_else(|| ConfigError::Service(self.service.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        Config::default().validate().unwrap();
    }

    #[test]
    fn unusable_settings_are_refused() {
        for service in [
            "",
            "local",
            "_p2p",
            "a..local",
            "_udp.example",
            &"x".repeat(300),
        ] {
            let config = Config {
                service: service.to_owned(),
                ..Config::default()
            };
            assert!(
                matches!(config.validate(), Err(ConfigError::Service(_))),
                "{service}"
            );
        }
        let config = Config {
            first_interval: Duration::from_secs(600),
            ..Config::default()
        };
        assert!(matches!(config.validate(), Err(ConfigError::Intervals)));
        let config = Config {
            max_interval: Duration::MAX,
            ..Config::default()
        };
        assert!(matches!(config.validate(), Err(ConfigError::Intervals)));
        for ttl in [Duration::ZERO, Duration::MAX] {
            let config = Config {
                ttl,
                ..Config::default()
            };
            assert!(matches!(config.validate(), Err(ConfigError::Ttl)));
        }
    }
}
