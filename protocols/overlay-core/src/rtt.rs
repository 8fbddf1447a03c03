//! Round-trip times and what follows from them (P10).

use std::time::Duration;

/// Smoothed round-trip time and its mean deviation, as TCP has them (RFC 6298).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rtt {
    smoothed: Option<Duration>,
    deviation: Duration,
}

impl Rtt {
    /// Takes a measurement in.
    pub(crate) fn measured(&mut self, sample: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.deviation = sample / 2;
            }
            Some(smoothed) => {
                self.deviation = (self.deviation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    /// The smoothed time, once anything was measured.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// How long an answer may take before it is asked for again; `unmeasured` when
    /// nothing is known.
    pub(crate) fn timeout(
        &self,
        shortest: Duration,
        longest: Duration,
        unmeasured: Duration,
    ) -> Duration {
        match self.smoothed {
            None => unmeasured,
            Some(smoothed) => {
                (smoothed + self.deviation * 4).clamp(shortest, longest.max(shortest))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_time_is_learned_and_the_timeout_closes_in() {
        let mut rtt = Rtt::default();
        let ms = Duration::from_millis;
        assert_eq!(rtt.timeout(ms(20), ms(3000), ms(500)), ms(500));
        rtt.measured(ms(100));
        assert_eq!(rtt.timeout(ms(20), ms(3000), ms(500)), ms(300));
        for _ in 0..50 {
            rtt.measured(ms(100));
        }
        assert_eq!(rtt.smoothed(), Some(ms(100)));
        assert!(rtt.timeout(ms(20), ms(3000), ms(500)) < ms(101));
        assert_eq!(rtt.timeout(ms(200), ms(3000), ms(500)), ms(200));
    }
}
