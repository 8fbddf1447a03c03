//! Chance, in streams of their own that all follow from one seed (S2).

use std::time::Duration;

use guid::Guid;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of chance is for. Each purpose draws from its own stream, so that one
/// more draw for one purpose changes nothing for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// GUIDs and the seeds of nodes.
    Identities,
    /// Where nodes stand.
    Places,
    /// Loss and jitter.
    Links,
    /// Who joins, leaves and dies, and when.
    Schedule,
    /// Who looks up what.
    Lookups,
    /// The network's own shape.
    Topology,
    /// Who is bad, and what bad nodes do.
    Adversary,
    /// Objects, who publishes them, and who wants them.
    Objects,
    /// Requests of web pages.
    Requests,
}

/// A stream of chance.
#[derive(Clone, Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of a seed for a purpose.
    pub fn new(seed: u64, purpose: Purpose) -> Dice {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose as u64 + 1);
        Dice(rng)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// An identifier, all equally likely.
    pub fn guid(&mut self) -> Guid {
        Guid::new(u128::from(self.bits()) << 64 | u128::from(self.bits()))
    }

    /// A number below `count`, all equally likely.
    ///
    /// # Panics
    /// When `count` is zero: there is nothing to choose from.
    pub fn below(&mut self, count: usize) -> usize {
        assert!(count > 0, "a choice out of nothing");
        // Multiplying instead of dividing; the bias is below count / 2^64.
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// From 0 up to but not including 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A time until the next event of a Poisson process with this mean.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        // 1 - unit is never zero, so the logarithm is finite.
        mean.mul_f64(-(1.0 - self.unit()).ln())
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Puts a list into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}
