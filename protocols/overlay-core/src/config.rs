//! The overlay's settings.

use std::time::Duration;

use guid::Base;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{LocationConfig, SecurityConfig};

/// Settings of one node's overlay. All nodes of a network need the same
/// `digit_bits` and `leaf_set`; the rest is each node's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bits in a digit, Pastry's b: 1, 2, 3, 4 or 8.
    pub digit_bits: u32,
    /// Nodes in the leaf set, half of them on each side: |L|.
    pub leaf_set: usize,
    /// Nodes in the neighbourhood set: |M|.
    pub neighbourhood: usize,
    /// How long a node that knows nobody waits for company before it is a network alone.
    pub lonely_wait: Duration,
    /// How long a joiner compares seeds by round-trip time before it takes the nearest.
    pub seed_wait: Duration,
    /// A seed that a round trip reaches in so long is near enough: a joiner looks for no
    /// nearer one.
    pub near_seed: Duration,
    /// How long a joiner waits for its way in before it takes another seed.
    pub join_timeout: Duration,
    /// A heartbeat goes to the left neighbour this often: Tls of MSPastry.
    pub heartbeat: Duration,
    /// How long an answer to a probe may take at most: To of MSPastry.
    pub probe_timeout: Duration,
    /// Where a node's distance is known, its answer is waited for as long as an
    /// acknowledgement, but at least this long at first.
    pub min_probe_timeout: Duration,
    /// How often a probe is repeated before its node is called dead.
    pub probe_retries: u32,
    /// Each entry of the routing table is heard of at least this often, and more often
    /// where nodes die fast.
    pub table_probe: Duration,
    /// Of a thousand messages, how many may meet a dead hop on their way that is not known
    /// to be dead: Lr of MSPastry. The table is probed as seldom as that allows.
    pub raw_loss_permille: u32,
    /// One row of the table is compared with another node's this often.
    pub row_exchange: Duration,
    /// A dead node is not believed alive on hearsay for this long.
    pub failed_memory: Duration,
    /// One of the nodes that were found dead is asked this often whether it is back, so
    /// that a network that was cut in two becomes one again.
    pub heal_period: Duration,
    /// Shortest wait for a hop's acknowledgement.
    pub min_rto: Duration,
    /// Longest wait for a hop's acknowledgement.
    pub max_rto: Duration,
    /// How long a routed request may take in all.
    pub request_timeout: Duration,
    /// Settings of the location layer.
    pub location: LocationConfig,
    /// Defences against bad nodes.
    pub security: SecurityConfig,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            digit_bits: 4,
            leaf_set: 16,
            neighbourhood: 32,
            // Discovery on a LAN answers within 300 ms.
            lonely_wait: Duration::from_millis(400),
            seed_wait: Duration::from_millis(20),
            near_seed: Duration::from_millis(10),
            join_timeout: Duration::from_secs(1),
            heartbeat: Duration::from_secs(2),
            probe_timeout: Duration::from_millis(500),
            min_probe_timeout: Duration::from_millis(500),
            probe_retries: 2,
            table_probe: Duration::from_secs(60),
            raw_loss_permille: 50,
            row_exchange: Duration::from_secs(20 * 60),
            failed_memory: Duration::from_secs(60),
            heal_period: Duration::from_secs(15),
            min_rto: Duration::from_millis(20),
            max_rto: Duration::from_secs(3),
            request_timeout: Duration::from_secs(10),
            location: LocationConfig::default(),
            security: SecurityConfig::default(),
        }
    }
}

/// Why settings are unusable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// No identifier has such digits (G4).
    #[error("digit_bits is {0}: it has to be 1, 2, 3, 4 or 8")]
    DigitBits(u32),
    /// Two sides of equal size, and small enough for one message.
    #[error("leaf_set is {0}: it has to be an even number from 4 to 128")]
    LeafSet(usize),
    /// Small enough for one message.
    #[error("neighbourhood is {0}: it has to be from 1 to 256")]
    Neighbourhood(usize),
    /// A duration that must not be zero is.
    #[error("{0} is zero: it has to be longer")]
    Zero(&'static str),
    /// A share of all messages, and not none of them.
    #[error("raw_loss_permille is {0}: it has to be from 1 to 999")]
    RawLoss(u32),
    /// Every root costs messages, and its number is one byte on the wire.
    #[error("location.roots is {0}: it has to be from 1 to 8")]
    Roots(u8),
    /// Small enough for one message.
    #[error("location.{0} is {1}: it has to be at most 8")]
    Spread(&'static str, u8),
    /// Pointers would come and go.
    #[error("location.lifetime has to be longer than location.republish")]
    Lifetime,
    /// Each is a message that others carry.
    #[error("security.redundant_routes is {0}: it has to be at most 64")]
    Routes(usize),
    /// Below that half of all true answers would not be believed.
    #[error("security.density_percent is {0}: it has to be from 100 to 10000")]
    Density(u32),
    /// Nothing would be dealt with.
    #[error("{0} is 0: it has to be at least 1")]
    NoneAtOnce(&'static str),
}

impl Config {
    /// Checks that the settings can work.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if Base::new(self.digit_bits).is_none() {
            return Err(ConfigError::DigitBits(self.digit_bits));
        }
        if !(4..=128).contains(&self.leaf_set) || !self.leaf_set.is_multiple_of(2) {
            return Err(ConfigError::LeafSet(self.leaf_set));
        }
        if !(1..=256).contains(&self.neighbourhood) {
            return Err(ConfigError::Neighbourhood(self.neighbourhood));
        }
        if !(1..=999).contains(&self.raw_loss_permille) {
            return Err(ConfigError::RawLoss(self.raw_loss_permille));
        }
        let spans = [
            ("join_timeout", self.join_timeout),
            ("heartbeat", self.heartbeat),
            ("probe_timeout", self.probe_timeout),
            ("probe_timeout", self.probe_timeout),
            ("table_probe", self.table_probe),
            ("row_exchange", self.row_exchange),
            ("heal_period", self.heal_period),
            ("min_rto", self.min_rto),
            ("max_rto", self.max_rto),
            ("request_timeout", self.request_timeout),
        ];
        if let Some((name, _)) = spans.into_iter().find(|(_, span)| span.is_zero()) {
            return Err(ConfigError::Zero(name));
        }
        self.security.validate()?;
        self.location.validate()
    }

    /// The digit width.
    ///
    /// # Panics
    /// When [`Config::validate`] would have refused it.
    pub fn base(&self) -> Base {
        Base::new(self.digit_bits).expect("validated settings")
    }
}
