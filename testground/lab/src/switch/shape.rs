//! How bad a path is (N4, N5).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bytes that a link lets wait at least, unless told otherwise.
const LEAST_QUEUE: u64 = 64 * 1024;

/// The longest latency and the longest jitter: longer than any way on Earth or near it.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// How long a link lets frames wait, unless told otherwise, as parts of a second.
const QUEUE_PARTS: u64 = 10;

/// What happens to frames from one port to another. Nothing, unless set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// Time on the way, one way.
    pub latency: Duration,
    /// Up to so much more, evenly drawn.
    pub jitter: Duration,
    /// Share of frames that are lost, 0 to 1.
    pub loss: f64,
    /// Share of frames that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Share of frames that overtake those before them, 0 to 1.
    pub reorder: f64,
    /// Share of frames of which a bit is turned over, 0 to 1.
    pub corrupt: f64,
    /// Bits a second; without, no limit.
    pub rate: Option<u64>,
    /// Bytes that may wait for the rate; 100 ms of it, and at least 64 KiB, unless set.
    pub queue: Option<u64>,
    /// Largest IP packet, bytes; larger ones vanish.
    pub mtu: Option<u16>,
    /// Nothing passes.
    pub blocked: bool,
}

/// How fast a port may send and receive in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Uplink {
    /// Bits a second that the node may send; without, no limit.
    pub up: Option<u64>,
    /// Bits a second that the node may receive; without, no limit.
    pub down: Option<u64>,
    /// Bytes that may wait for either; 100 ms, and at least 64 KiB, unless set.
    pub queue: Option<u64>,
}

/// A shape that no network has.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ShapeError {
    /// A share is no share.
    #[error("{name} is {value}: a share is from 0 to 1")]
    Share {
        /// Which field.
        name: &'static str,
        /// What it was set to.
        value: f64,
    },
    /// A delay of more than an hour.
    #[error("{name} is {value:?}: at most an hour")]
    Delay {
        /// Which field.
        name: &'static str,
        /// What it was set to.
        value: Duration,
    },
    /// A link that sends nothing.
    #[error("a rate of 0 bits a second sends nothing: set `blocked` for that")]
    NoRate,
}

impl Shape {
    /// Frames arrive so much later.
    pub fn latency(latency: Duration) -> Shape {
        Shape {
            latency,
            ..Shape::default()
        }
    }

    /// Nothing passes.
    pub fn blocked() -> Shape {
        Shape {
            blocked: true,
            ..Shape::default()
        }
    }

    /// The same, with up to so much more latency.
    pub fn with_jitter(self, jitter: Duration) -> Shape {
        Shape { jitter, ..self }
    }

    /// The same, with this share lost.
    pub fn with_loss(self, loss: f64) -> Shape {
        Shape { loss, ..self }
    }

    /// The same, at so many bits a second.
    pub fn with_rate(self, bits: u64) -> Shape {
        Shape {
            rate: Some(bits),
            ..self
        }
    }

    /// Whether each packet fares by itself, so that frames have to be cut first (N11).
    pub(super) fn is_by_packet(&self) -> bool {
        let chances = self.loss + self.duplicate + self.reorder + self.corrupt;
        chances > 0.0 || self.rate.is_some() || self.mtu.is_some()
    }

    /// Whether such a path can be.
    ///
    /// # Errors
    ///
    /// Names the field and its value.
    pub fn validate(&self) -> Result<(), ShapeError> {
        let shares = [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("corrupt", self.corrupt),
        ];
        for (name, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(ShapeError::Share { name, value });
            }
        }
        for (name, value) in [("latency", self.latency), ("jitter", self.jitter)] {
            if value > MAX_DELAY {
                return Err(ShapeError::Delay { name, value });
            }
        }
        if self.rate == Some(0) {
            return Err(ShapeError::NoRate);
        }
        Ok(())
    }
}

impl Uplink {
    /// The same rate in both directions.
    pub fn symmetric(bits: u64) -> Uplink {
        Uplink {
            up: Some(bits),
            down: Some(bits),
            queue: None,
        }
    }

    /// Whether such a link can be.
    ///
    /// # Errors
    ///
    /// [`ShapeError::NoRate`].
    pub fn validate(&self) -> Result<(), ShapeError> {
        if self.up == Some(0) || self.down == Some(0) {
            return Err(ShapeError::NoRate);
        }
        Ok(())
    }
}

/// Bytes that may wait for a link of this rate (N5).
pub(super) fn queue_bytes(rate: u64, wanted: Option<u64>) -> u64 {
    wanted.unwrap_or_else(|| (rate / 8 / QUEUE_PARTS).max(LEAST_QUEUE))
}
