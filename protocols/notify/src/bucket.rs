//! How much a peer may send (E6).

use std::time::{Duration, Instant};

/// Statements of one peer that are looked at in a second, one with another.
pub(crate) const RATE: u32 = 64;

/// And at once, after a pause.
pub(crate) const BURST: u32 = 256;

/// Lets a number of things through in a time.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// When it would be full again.
    full: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant) -> Bucket {
        Bucket { full: now }
    }

    /// Whether it is as a new one.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full <= now
    }

    /// Whether one more comes through.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let each = Duration::from_secs(1) / RATE;
        let full = self.full.max(now) + each;
        let comes = full <= now + each * BURST;
        if comes {
            self.full = full;
        }
        comes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        let through = |bucket: &mut Bucket, now| (0..1_000).filter(|_| bucket.take(now)).count();
        assert_eq!(through(&mut bucket, begin), BURST as usize);
        let later = begin + Duration::from_secs(1);
        let second = through(&mut bucket, later);
        assert!(
            (RATE as usize - 1..=RATE as usize).contains(&second),
            "{second}"
        );
        let much_later = begin + Duration::from_secs(3_600);
        assert_eq!(through(&mut bucket, much_later), BURST as usize);
    }
}
