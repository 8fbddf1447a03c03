//! Round-trip times and what follows from them (P10).

use std::time::Duration;

/// Smoothed round-trip time and its mean deviation, as TCP has them (RFC 6298), in whole
/// microseconds: a node keeps one for each peer. After one measurement an answer may take
/// twice its time, not three times as with TCP: a hop too many costs less than a late one,
/// because another may take the message (MSPastry, "per-hop acks").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rtt {
    smoothed: u32,
    deviation: u32,
    source: Source,
}

/// Where a time is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Source {
    /// There is none.
    #[default]
    Nowhere,
    /// What the other side has measured, until this one has.
    Hearsay,
    /// This side has measured.
    Measured,
}

impl Rtt {
    /// Takes a measurement in.
    pub(crate) fn measured(&mut self, sample: Duration) {
        let sample = micros(sample);
        match self.source {
            Source::Nowhere | Source::Hearsay => {
                self.smoothed = sample;
                self.deviation = sample / 4;
                self.source = Source::Measured;
            }
            Source::Measured => {
                let error = u64::from(self.smoothed.abs_diff(sample));
                self.deviation = ((u64::from(self.deviation) * 3 + error) / 4) as u32;
                let sum = u64::from(self.smoothed) * 7 + u64::from(sample);
                self.smoothed = (sum / 8) as u32;
            }
        }
    }

    /// Takes the other side's measurement in, where this side has none.
    pub(crate) fn told(&mut self, sample: Duration) {
        if self.source == Source::Nowhere {
            self.measured(sample);
            self.source = Source::Hearsay;
        }
    }

    /// The smoothed time, once anything was measured.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        (self.source != Source::Nowhere).then(|| Duration::from_micros(self.smoothed.into()))
    }

    /// How long an answer may take before it is asked for again; `unmeasured` when
    /// nothing is known.
    pub(crate) fn timeout(
        &self,
        shortest: Duration,
        longest: Duration,
        unmeasured: Duration,
    ) -> Duration {
        if self.source == Source::Nowhere {
            return unmeasured;
        }
        // Times that never vary would leave nothing for the one answer that is late.
        let margin = u64::from(self.deviation) * 4;
        let wait = u64::from(self.smoothed) + margin.max(u64::from(self.smoothed) / 4);
        Duration::from_micros(wait).clamp(shortest, longest.max(shortest))
    }
}

/// As messages and tables carry round-trip times: more than an hour is an hour.
pub(crate) fn micros(rtt: Duration) -> u32 {
    u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX)
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
        assert_eq!(rtt.timeout(ms(20), ms(3000), ms(500)), ms(200));
        for _ in 0..50 {
            rtt.measured(ms(100));
        }
        assert_eq!(rtt.smoothed(), Some(ms(100)));
        assert_eq!(rtt.timeout(ms(20), ms(3000), ms(500)), ms(125));
        assert_eq!(rtt.timeout(ms(200), ms(3000), ms(500)), ms(200));
    }

    #[test]
    fn hearsay_counts_until_something_was_measured() {
        let mut rtt = Rtt::default();
        let ms = Duration::from_millis;
        rtt.told(ms(1));
        assert_eq!(rtt.smoothed(), Some(ms(1)));
        rtt.measured(ms(100));
        rtt.told(ms(1));
        assert_eq!(rtt.smoothed(), Some(ms(100)));
    }
}
