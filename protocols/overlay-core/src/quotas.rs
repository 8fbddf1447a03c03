//! How much a peer may make this node do (P36).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Peer, SecurityConfig, Time};

/// Most peers whose messages are counted one by one. More than a node is connected with
/// under load; whoever comes on top shares one allowance.
const MAX_COUNTED: usize = 256;

/// A token bucket as one moment: that at which it will be full again (Turner's leaky
/// bucket as a meter). It is empty when that is a whole burst away.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(Time);

impl Bucket {
    fn is_full(self, now: Time) -> bool {
        self.0 <= now
    }

    /// Takes a token. Says whether there was one.
    fn take(&mut self, now: Time, each: Duration, burst: u32) -> bool {
        let full = self.0.max(now) + each;
        let taken = full.since(now) <= each * burst;
        if taken {
            self.0 = full;
        }
        taken
    }
}

/// Token buckets. Nobody's messages are counted while all peers together stay under what
/// one of them may send, so a node under no load pays with one comparison a message and no
/// memory.
#[derive(Clone, Debug)]
pub(crate) struct Quotas<P> {
    all: Bucket,
    counted: BTreeMap<P, Bucket>,
    /// Of those for whom there is no room.
    others: Bucket,
}

impl<P> Default for Quotas<P> {
    fn default() -> Self {
        Quotas {
            all: Bucket::default(),
            counted: BTreeMap::new(),
            others: Bucket::default(),
        }
    }
}

impl<P: Peer> Quotas<P> {
    /// A message came that makes work. Says whether it is dealt with.
    pub(crate) fn admit(&mut self, now: Time, peer: P, config: &SecurityConfig) -> bool {
        if config.peer_rate == 0 {
            return true;
        }
        let each = Duration::from_secs(1) / config.peer_rate;
        let burst = config.peer_burst;
        if self.all.is_full(now) && !self.counted.is_empty() {
            self.counted = BTreeMap::new();
        }
        if self.all.take(now, each, burst) {
            return true;
        }
        if let Some(bucket) = self.counted.get_mut(&peer) {
            return bucket.take(now, each, burst);
        }
        if self.counted.len() >= MAX_COUNTED {
            self.counted.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.counted.len() >= MAX_COUNTED {
            return self.others.take(now, each, burst);
        }
        self.counted.entry(peer).or_default().take(now, each, burst)
    }

    pub(crate) fn check_invariants(&self) {
        assert!(
            self.counted.len() <= MAX_COUNTED,
            "too many peers are counted"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SecurityConfig {
        SecurityConfig {
            peer_rate: 10,
            peer_burst: 5,
            ..SecurityConfig::default()
        }
    }

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1000)
    }

    #[test]
    fn a_flood_is_cut_to_its_rate_and_others_are_not() {
        let mut quotas = Quotas::default();
        let (mut flood, mut honest) = (0, 0);
        // Ten seconds, a message of the flooder each millisecond, and two a second of
        // another peer.
        for millis in 0..10_000 {
            flood += u32::from(quotas.admit(at(millis), 1u32, &config()));
            if millis % 500 == 7 {
                assert!(quotas.admit(at(millis), 2, &config()));
                honest += 1;
            }
        }
        assert_eq!(honest, 20);
        // Its own allowance, and what is left of the common one.
        assert!((100..=210).contains(&flood), "{flood}");
    }

    #[test]
    fn nobody_is_counted_under_no_load_and_not_too_many_under_any() {
        let mut quotas = Quotas::default();
        for peer in 0..5u32 {
            assert!(quotas.admit(at(0), peer, &config()));
        }
        assert!(quotas.counted.is_empty());
        for peer in 0..10_000 {
            quotas.admit(at(0), peer, &config());
            quotas.check_invariants();
        }
        assert_eq!(quotas.counted.len(), MAX_COUNTED);
        assert!(quotas.admit(at(60_000), 1, &config()));
        assert!(quotas.counted.is_empty());
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut quotas = Quotas::default();
        let config = SecurityConfig::off();
        assert!((0..100_000).all(|_| quotas.admit(at(0), 1u32, &config)));
    }
}
