//! How a node is looked after.

use std::time::Duration;

/// How a node is looked after.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How often every block is read; `None` is never (I11).
    pub scrub_every: Option<Duration>,
    /// Bytes a second that are read for that.
    pub scrub_bytes_per_second: u64,
    /// How often to see whether room is short (I2).
    pub look_every: Duration,
    /// How long to wait after a pass that did not make room enough, and at most before a pin that
    /// failed is gone on with (I2, I4).
    pub again_after: Duration,
    /// How long after something was written its blocks are claimed, with all that is written
    /// meanwhile (I15).
    pub claim_after: Duration,
    /// How often what is needed no more is released by itself (I16).
    pub release_every: Duration,
    /// How long a block that all have released is kept (CL7).
    pub grace: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            scrub_every: Some(Duration::from_secs(7 * 86_400)),
            scrub_bytes_per_second: 2 << 20,
            look_every: Duration::from_secs(60),
            again_after: Duration::from_secs(600),
            claim_after: Duration::from_secs(1),
            release_every: Duration::from_secs(86_400),
            grace: Duration::from_secs(86_400),
        }
    }
}
