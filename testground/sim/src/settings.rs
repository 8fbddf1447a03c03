//! What a run is made of.

use std::time::Duration;

use overlay_core::Config;

use crate::formation::Contact;
use crate::network::Shape;

/// A year: longer than any run, so that what happens this often does not happen.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A run's settings. With the inputs they decide everything that happens in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Decides all chance.
    pub seed: u64,
    /// Of every node.
    pub overlay: Config,
    /// What is between them.
    pub shape: Shape,
    /// Nodes that each host carries, each with an identifier of its own: 1, or several to
    /// spread the load.
    pub per_host: u32,
}

impl Settings {
    /// The Pastry paper's: its plane, its b, |L| and |M|, and no maintenance, because
    /// nobody dies unless a table says so.
    pub fn calm(seed: u64) -> Settings {
        let overlay = Config {
            near_seed: NEVER,
            heartbeat: NEVER,
            table_probe: NEVER,
            row_exchange: NEVER,
            heal_period: NEVER,
            ..Config::default()
        };
        Settings {
            seed,
            overlay,
            shape: Shape::default(),
            per_host: 1,
        }
    }

    /// For nodes that join by such an acquaintance: who is given the nearest need not look
    /// for it.
    pub fn with_contact(mut self, contact: Contact) -> Settings {
        self.overlay.near_seed = match contact {
            Contact::Nearest => NEVER,
            Contact::Random => Config::default().near_seed,
        };
        self
    }

    /// MSPastry's base configuration: heartbeats every 30 s, 3 s for an answer, |L| = 32
    /// (Castro, Costa & Rowstron, section 5.1).
    pub fn mspastry(seed: u64, shape: Shape) -> Settings {
        let overlay = Config {
            leaf_set: 32,
            heartbeat: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(3),
            near_seed: NEVER,
            ..Config::default()
        };
        Settings {
            seed,
            overlay,
            shape,
            per_host: 1,
        }
    }
}
