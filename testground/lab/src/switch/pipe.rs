//! A link that sends one bit after the other (N5).

use super::fabric::Nanos;
use super::shape::queue_bytes;

/// When the link is free again, and how fast it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pipe {
    free_at: Nanos,
    rate: u64,
}

impl Pipe {
    /// As [`Pipe::send`], where there may be no rate: then a frame has left at once.
    pub(super) fn pass(
        &mut self,
        now: Nanos,
        bytes: usize,
        rate: Option<u64>,
        queue: Option<u64>,
    ) -> Option<Nanos> {
        match rate {
            None => Some(now),
            Some(rate) => self.send(now, bytes, rate, queue_bytes(rate, queue)),
        }
    }

    /// When the last bit of a frame has left, or `None` where too much waits before it.
    fn send(&mut self, now: Nanos, bytes: usize, rate: u64, queue: u64) -> Option<Nanos> {
        let mut begins = self.free_at.max(now);
        if self.rate != rate {
            // What waits is as many bytes as before, which leave faster or slower from now on.
            let left = u128::from(begins - now) * u128::from(self.rate) / u128::from(rate);
            begins = now.saturating_add(u64::try_from(left).unwrap_or(u64::MAX));
            self.rate = rate;
            self.free_at = begins;
        }
        let waiting = u128::from(begins - now) * u128::from(rate) / 8_000_000_000;
        if waiting > u128::from(queue) {
            return None;
        }
        let takes = bytes as u128 * 8_000_000_000 / u128::from(rate);
        self.free_at = begins.saturating_add(u64::try_from(takes).unwrap_or(u64::MAX));
        Some(self.free_at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_waits_leaves_at_the_new_rate() {
        let mut pipe = Pipe::default();
        // 10,000 bytes at 80 kbit/s are a second.
        for _ in 0..10 {
            assert!(pipe.send(0, 1000, 80_000, 64_000).is_some());
        }
        let left = pipe.send(0, 1000, 800_000, 64_000);
        assert_eq!(left, Some(110_000_000));
    }

    proptest! {
        #[test]
        fn no_more_leaves_than_the_rate_and_no_more_waits_than_the_queue(
            frames in prop::collection::vec((0u64..3_000_000, 14usize..1514), 1..200),
            rate in 100_000u64..1_000_000_000,
            queue in 0u64..100_000,
        ) {
            let mut pipe = Pipe::default();
            let (mut now, mut last, mut sent) = (0, 0, 0u128);
            for (wait, bytes) in frames {
                now += wait;
                if let Some(left) = pipe.send(now, bytes, rate, queue) {
                    sent += bytes as u128;
                    prop_assert!(left >= last && left >= now);
                    // The queue, the frame itself, and what rounding gives.
                    let most = (queue + bytes as u64 + 2) as u128 * 8_000_000_000 / u128::from(rate);
                    prop_assert!(u128::from(left - now) <= most + 2);
                    last = left;
                    prop_assert!(sent * 8_000_000_000 / u128::from(rate) <= u128::from(left) + 200);
                }
            }
        }
    }
}
