//! Intervals that double up to a longest one (**M6**).

use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff {
            first,
            longest,
            next: first,
        }
    }

    /// The time to wait now; the one after it is twice as long.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.next;
        self.next = now.saturating_mul(2).min(self.longest);
        now
    }

    /// Starts from the first interval again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(300));
        let waits: Vec<u128> = (0..12).map(|_| backoff.next().as_millis()).collect();
        let expected = [
            500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128_000, 256_000, 300_000, 300_000,
        ];
        assert_eq!(waits, expected);
        backoff.reset();
        assert_eq!(backoff.next(), Duration::from_millis(500));
    }
}
