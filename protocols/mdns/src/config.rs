//! What can be set.

use std::time::Duration;

use hickory_proto::rr::Name;

/// The service that libp2p peers of every implementation ask for (**M1**).
const SERVICE_NAME: &str = "_p2p._udp.local";

/// Settings of a [`Behaviour`](crate::Behaviour).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The DNS name that peers ask for; `_p2p._udp.local` unless set. Networks
    /// that want to keep to themselves take another.
    pub service_name: String,
    /// Time from the first query on a link to the second; it doubles from then
    /// on (**M6**).
    pub first_interval: Duration,
    /// The longest time between two queries on a link (**M6**).
    pub longest_interval: Duration,
    /// How long others may keep what we announce; longer than
    /// `longest_interval`, so that they hear it again in time (**M9**).
    pub time_to_live: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            service_name: SERVICE_NAME.to_owned(),
            first_interval: Duration::from_millis(500),
            longest_interval: Duration::from_secs(300),
            time_to_live: Duration::from_secs(360),
        }
    }
}

impl Config {
    /// Checks the settings and returns the service as a DNS name.
    pub(crate) fn validate(&self) -> Result<Name, ConfigError> {
        if self.first_interval.is_zero() || self.first_interval > self.longest_interval {
            return Err(ConfigError::Intervals);
        }
        if self.time_to_live <= self.longest_interval {
            return Err(ConfigError::TimeToLive);
        }
        let invalid = || ConfigError::ServiceName(self.service_name.clone());
        let mut name = Name::from_ascii(&self.service_name).map_err(|_| invalid())?;
        name.set_fqdn(true);
        // A peer's own name adds a label of up to 64 bytes to this one.
        if name.is_root() || name.len() > 180 {
            return Err(invalid());
        }
        Ok(name)
    }
}

/// A [`Config`] that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The service name is no DNS name, or too long.
    #[error("`{0}` is not a usable DNS service name")]
    ServiceName(String),
    /// The first interval is zero or longer than the longest.
    #[error("the first query interval must be above zero and not above the longest")]
    Intervals,
    /// Records would expire between two queries.
    #[error("the time to live must be longer than the longest query interval")]
    TimeToLive,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_nonsense_is_not() {
        assert_eq!(
            Config::default().validate().unwrap().to_ascii(),
            "_p2p._udp.local."
        );
        let long = Config {
            service_name: "a.".repeat(120),
            ..Config::default()
        };
        assert!(matches!(long.validate(), Err(ConfigError::ServiceName(_))));
        let zero = Config {
            first_interval: Duration::ZERO,
            ..Config::default()
        };
        assert_eq!(zero.validate(), Err(ConfigError::Intervals));
        let short = Config {
            time_to_live: Duration::from_secs(300),
            ..Config::default()
        };
        assert_eq!(short.validate(), Err(ConfigError::TimeToLive));
    }
}
