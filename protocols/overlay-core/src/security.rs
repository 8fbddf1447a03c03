//! Settings of the defences against bad nodes (P34 to P37).

use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Which messages take a way chosen at random (P34).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RandomisedRouting {
    /// None: a message sent again goes the way of the first.
    Never,
    /// Those that a node sends again because no answer came, at their first hop.
    #[default]
    Retries,
    /// All, at each hop, with a strong preference for the hop of the rule.
    Always,
}

/// Defences of one node against others that do not keep to the rules. Each is a node's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityConfig {
    /// Which messages take a random way.
    pub randomised: RandomisedRouting,
    /// Ways on which a lookup is sent when its first answer is missing or not plausible,
    /// in each of at most three rounds; 0 takes the first answer for true.
    pub redundant_routes: usize,
    /// How far apart the nodes of an answer may stand to be believed, in percent of how far
    /// apart nodes stand elsewhere: gamma of the routing failure test.
    pub density_percent: u32,
    /// Messages a second that one peer may make this node deal with; 0 is no limit.
    pub peer_rate: u32,
    /// Messages that a peer may send at once beyond that.
    pub peer_burst: u32,
    /// Messages of one hop before that wait here for the next hop's acknowledgement.
    pub peer_in_flight: usize,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        SecurityConfig {
            randomised: RandomisedRouting::Retries,
            // Half a leaf set. With a quarter of all nodes bad a way of three hops is good
            // with probability 0.42, and one of eight with 0.987 a round.
            redundant_routes: 8,
            // Of 16 gaps the mean is above 1.7 times the true one once in 120 answers, and
            // at a quarter bad nodes, who stand four times as far apart, below it once in 350.
            density_percent: 170,
            // A thousand lookups a second by one link, far above what replication asks for.
            peer_rate: 1000,
            peer_burst: 1000,
            // An eighth of all: nodes have a hundred links, and bad ones must not fill them.
            peer_in_flight: 512,
        }
    }
}

impl SecurityConfig {
    /// Everything switched off: what the defences are measured against.
    pub fn off() -> Self {
        SecurityConfig {
            randomised: RandomisedRouting::Never,
            redundant_routes: 0,
            peer_rate: 0,
            peer_in_flight: usize::MAX,
            ..SecurityConfig::default()
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.redundant_routes > MAX_ROUTES {
            return Err(ConfigError::Routes(self.redundant_routes));
        }
        if !(100..=10_000).contains(&self.density_percent) {
            return Err(ConfigError::Density(self.density_percent));
        }
        if self.peer_rate > 0 && self.peer_burst == 0 {
            return Err(ConfigError::NoneAtOnce("security.peer_burst"));
        }
        if self.peer_in_flight == 0 {
            return Err(ConfigError::NoneAtOnce("security.peer_in_flight"));
        }
        Ok(())
    }
}

/// Most ways in a round: each is a message that others carry.
const MAX_ROUTES: usize = 64;
