//! How often table entries are asked for a sign of life (P16; MSPastry, "self-tuned
//! probing of routing tables").

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Overlay, Peer, Time};

/// Deaths by which their rate is told: K of MSPastry.
const DEATHS: usize = 16;

/// Halvings by which the period is found: to a millionth of the longest.
const HALVINGS: usize = 20;

/// What the period follows from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    /// When the last members were found dead, and before them when the node became active.
    deaths: VecDeque<Time>,
    /// The period in use; `None` before the first was worked out.
    period: Option<Duration>,
    /// When leaf sets were last compared with a leaf.
    pub(crate) compared: Time,
}

impl Pace {
    /// From here on deaths count.
    pub(crate) fn begin(&mut self, now: Time) {
        self.deaths = VecDeque::from([now]);
        self.compared = now;
    }

    /// A member was found dead.
    pub(crate) fn note_death(&mut self, now: Time) {
        if self.deaths.len() > DEATHS {
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
    }

    /// Deaths a second and member, of `members`. Where few were seen, one more is taken to
    /// be due now.
    fn rate(&self, now: Time, members: usize) -> f64 {
        let Some(first) = self.deaths.front() else {
            return 0.0;
        };
        let seen = self.deaths.len() - 1;
        let deaths = if seen < DEATHS { seen + 1 } else { seen };
        let seconds = now.since(*first).as_secs_f64().max(1e-6);
        deaths as f64 / (members.max(1) as f64 * seconds)
    }
}

impl<P: Peer> Overlay<P> {
    /// The period that others are told, in milliseconds; 0 before it was worked out.
    pub(crate) fn told_period(&self) -> u32 {
        let period = self.pace.period.unwrap_or_default();
        u32::try_from(period.as_millis()).unwrap_or(u32::MAX)
    }

    /// The period by which the table is probed.
    pub(crate) fn probe_period(&self) -> Duration {
        self.pace.period.unwrap_or(self.config.table_probe)
    }

    /// Works the period out anew: the median of this node's and of what the others have
    /// told, so that one with an odd view of the world does as all do.
    pub(crate) fn tune_probe_period(&mut self, now: Time) {
        let mut told: Vec<Duration> = self
            .peers
            .values()
            .filter(|peer| peer.period_ms > 0 && self.is_member(peer.contact.guid))
            .map(|peer| Duration::from_millis(peer.period_ms.into()))
            .collect();
        told.push(self.own_probe_period(now));
        let middle = told.len() / 2;
        let (_, median, _) = told.select_nth_unstable(middle);
        let longest = self.config.table_probe;
        self.pace.period = Some((*median).clamp(self.silence().min(longest), longest));
    }

    /// The longest period with which a message meets a dead hop that nobody knows to be
    /// dead no more often than is wanted, if nodes die as they did lately.
    fn own_probe_period(&self, now: Time) -> Duration {
        let longest = self.config.table_probe;
        let rate = self.pace.rate(now, self.members().len());
        let base = f64::from(1u32 << self.config.digit_bits);
        let hops = (1.0 - 1.0 / base) * self.estimated_size().ln() / base.ln();
        if hops <= 1.0 || rate <= 0.0 {
            return longest;
        }
        // Unheard-of deaths on the last hop are found by heartbeats, on others by probes.
        let silence = self.silence().as_secs_f64();
        let leafs = died(self.config.heartbeat.as_secs_f64() + silence, rate);
        let wanted = 1.0 - f64::from(self.config.raw_loss_permille) / 1000.0;
        let share = 1.0 - (wanted / (1.0 - leafs)).powf(1.0 / (hops - 1.0));
        let (mut low, mut high) = (0.0, longest.as_secs_f64());
        if died(high + silence, rate) <= share {
            return longest;
        }
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            if died(middle + silence, rate) <= share {
                low = middle;
            } else {
                high = middle;
            }
        }
        Duration::from_secs_f64(low)
    }

    /// How long a dead node is asked before it is known to be dead.
    pub(crate) fn silence(&self) -> Duration {
        self.config.probe_timeout * (self.config.probe_retries + 1)
    }

    /// How many nodes there are: by how close together those of the leaf set stand.
    pub(crate) fn estimated_size(&self) -> f64 {
        let members = self.leafs.members().len() as f64;
        if self.leafs.knows_whole_ring() {
            return members + 1.0;
        }
        let arc = self.leafs.arc();
        let length = arc.from.clockwise_to(arc.to) as f64;
        members / (length / 2f64.powi(128)).max(f64::MIN_POSITIVE)
    }
}

/// Of nodes that die at `rate` a second, the share that is dead when one looks at a random
/// moment and last heard of them up to `seconds` before.
fn died(seconds: f64, rate: f64) -> f64 {
    let due = seconds * rate;
    if due < 1e-9 {
        return due / 2.0;
    }
    1.0 + (-due).exp_m1() / due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_deaths() {
        let at = |seconds: u64| Time::from_micros(seconds * 1_000_000);
        let mut pace = Pace::default();
        pace.begin(at(0));
        // Nothing seen: less with every second.
        assert_eq!(pace.rate(at(100), 10), 1.0 / 1000.0);
        assert_eq!(pace.rate(at(1000), 10), 1.0 / 10_000.0);
        // One of ten nodes dies every second.
        for second in 1001..1100 {
            pace.note_death(at(second));
        }
        let rate = pace.rate(at(1100), 10);
        assert!((rate - 0.1).abs() < 0.01, "{rate}");
        assert!(pace.deaths.len() <= DEATHS + 1);
    }

    #[test]
    fn half_of_the_time_counts_when_few_die() {
        assert!((died(60.0, 1e-5) - 3e-4).abs() < 1e-6);
        assert!(died(1e9, 1.0) > 0.99);
        assert_eq!(died(0.0, 1.0), 0.0);
    }
}
