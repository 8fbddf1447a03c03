//! One direction between two ports (N4, N7).

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fabric::Nanos;
use super::orders::{Port, SwitchStats};
use super::pipe::Pipe;
use super::shape::Shape;

/// Bytes before the payload of a frame: two addresses and a type.
pub(super) const HEADER: usize = 14;

/// What becomes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// When it arrives.
    pub(super) due: Nanos,
    /// How often.
    pub(super) copies: u8,
    /// Which bit behind the header is turned over.
    pub(super) flip: Option<usize>,
}

/// What a path remembers.
#[derive(Debug)]
pub(super) struct Path {
    chance: ChaCha8Rng,
    pipe: Pipe,
    last_due: Nanos,
}

impl Path {
    pub(super) fn new(seed: u64, from: Port, to: Port) -> Path {
        let mut bytes = [0; 32];
        let parts = [seed, from.lan as u64, from.node as u64, to.node as u64];
        for (place, part) in bytes.chunks_exact_mut(8).zip(parts) {
            place.copy_from_slice(&part.to_le_bytes());
        }
        Path {
            chance: ChaCha8Rng::from_seed(bytes),
            pipe: Pipe::default(),
            last_due: 0,
        }
    }

    /// Its shape is another now: what is sent from here on does not wait for what was sent
    /// before.
    pub(super) fn begin_anew(&mut self) {
        self.last_due = 0;
    }

    /// Sends a frame of so many bytes; `None` where it is dropped, which is counted.
    pub(super) fn pass(
        &mut self,
        now: Nanos,
        bytes: usize,
        shape: &Shape,
        stats: &mut SwitchStats,
    ) -> Option<Passage> {
        if shape.blocked {
            stats.blocked += 1;
            return None;
        }
        if shape
            .mtu
            .is_some_and(|mtu| bytes > usize::from(mtu) + HEADER)
        {
            stats.too_large += 1;
            return None;
        }
        if self.happens(shape.loss) {
            stats.lost += 1;
            return None;
        }
        let Some(leaves) = self.pipe.pass(now, bytes, shape.rate, shape.queue) else {
            stats.queue_full += 1;
            return None;
        };
        let copies = 1 + u8::from(self.happens(shape.duplicate));
        stats.duplicated += u64::from(copies > 1);
        let flip = (bytes > HEADER && self.happens(shape.corrupt))
            .then(|| (self.chance.next_u64() % ((bytes - HEADER) as u64 * 8)) as usize);
        stats.corrupted += u64::from(flip.is_some());
        let due = if self.happens(shape.reorder) {
            leaves
        } else {
            let due = leaves + nanos(shape.latency) + self.up_to(nanos(shape.jitter));
            self.last_due = self.last_due.max(due);
            self.last_due
        };
        Some(Passage { due, copies, flip })
    }

    /// Draws only where there is something to draw.
    fn happens(&mut self, share: f64) -> bool {
        // 53 bits: as many as a double has.
        share > 0.0 && ((self.chance.next_u64() >> 11) as f64) < share * (1u64 << 53) as f64
    }

    fn up_to(&mut self, most: Nanos) -> Nanos {
        if most == 0 {
            0
        } else {
            self.chance.next_u64() % (most + 1)
        }
    }
}

fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).expect("delays are bounded when they are set")
}
