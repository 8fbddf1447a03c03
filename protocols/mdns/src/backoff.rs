//! Intervals that double from a first value up to a limit.

use std::time::Duration;

/// Gives `first`, then twice as much with every step, up to `max`.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// A backoff from `first` to `max`; where `max` is the smaller one, all
    /// intervals are `max`.
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        let first = first.min(max);
        Self {
            first,
            max,
            next: first,
        }
    }

    /// The interval to wait now; the next one is twice as long.
    pub(crate) fn step(&mut self) -> Duration {
        let now = self.next;
        self.next = now.saturating_mul(2).min(self.max);
        now
    }

    /// Starts again at the first interval.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(300));
        let steps: Vec<u128> = (0..12).map(|_| backoff.step().as_millis()).collect();
        assert_eq!(
            steps,
            [
                500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128_000, 256_000, 300_000,
                300_000
            ]
        );
        backoff.reset();
        assert_eq!(backoff.step(), Duration::from_millis(500));
    }

    #[test]
    fn the_limit_wins_over_the_first_interval() {
        let mut backoff = Backoff::new(Duration::from_secs(9), Duration::from_secs(2));
        assert_eq!(backoff.step(), Duration::from_secs(2));
        assert_eq!(backoff.step(), Duration::from_secs(2));
    }

    #[test]
    fn huge_intervals_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::MAX);
        backoff.step();
        assert_eq!(backoff.step(), Duration::MAX);
    }
}
