//! Settings of the shell, and of the core within.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of one node's overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Pastry's own settings.
    pub pastry: overlay_core::Config,
    /// Commands of this node's applications under way at a time.
    pub max_pending: usize,
    /// Messages waiting to be sent on one connection.
    pub send_queue: usize,
    /// How long a peer that forged or spoke garbage is refused.
    pub refuse_for: Duration,
    /// How long opening a stream to a peer may take.
    pub open_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            pastry: overlay_core::Config::default(),
            // Several for each of the hundreds of blocks an application has in flight.
            max_pending: 4096,
            // A burst of routed messages for one hop; at 64 KiB each, 16 MiB at worst.
            send_queue: 256,
            // Long enough to cost an attacker a new key, short enough to outlive a bug fix.
            refuse_for: Duration::from_secs(600),
            open_timeout: Duration::from_secs(5),
        }
    }
}

/// Why settings are unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Pastry's settings.
    #[error(transparent)]
    Pastry(#[from] overlay_core::ConfigError),
    /// A number or duration that must not be zero is.
    #[error("{0} is zero: it has to be more")]
    Zero(&'static str),
}

impl Config {
    /// Checks that the settings can work.
    ///
    /// # Errors
    ///
    /// The first setting that cannot.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.pastry.validate()?;
        let zero = [
            ("max_pending", self.max_pending == 0),
            ("send_queue", self.send_queue == 0),
            ("open_timeout", self.open_timeout.is_zero()),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(ConfigError::Zero(name)),
            None => Ok(()),
        }
    }
}
