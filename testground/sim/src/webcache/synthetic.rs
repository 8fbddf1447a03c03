//! Traces made from the paper's parameters (Q14).

use super::{Item, Request, Trace};
use crate::dice::{Dice, Purpose};

/// Popularity falls with the rank to this power (Breslau et al., INFOCOM 1999, found 0.64 to
/// 0.83 at proxies).
const EXPONENT: f64 = 0.8;

/// Of the logarithm of sizes (Barford & Crovella, SIGMETRICS 1998).
const SIZE_SIGMA: f64 = 1.3;

/// How much the rate goes up and down in a day: e^k / I0(k) = 606/s over 190/s on average, the
/// peak of the Redmond trace.
const DAILY: f64 = 1.95;

const DAY: f64 = 86_400e6;

/// What the paper says of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// Its name.
    pub name: &'static str,
    /// Clients.
    pub clients: u32,
    /// Days.
    pub days: f64,
    /// Requests in all.
    pub requests: f64,
    /// Different objects that can be cached.
    pub cacheable: f64,
    /// The central cache's hit ratio.
    pub hit_ratio: f64,
    /// Bytes that come from origins with a central cache.
    pub external: f64,
}

/// Microsoft, Redmond.
pub const REDMOND: Site = Site {
    name: "Redmond",
    clients: 36_782,
    days: 1.0,
    requests: 16.41e6,
    cacheable: 2.56e6,
    hit_ratio: 0.29,
    external: 88.1e9,
};

/// Microsoft Research, Cambridge.
pub const CAMBRIDGE: Site = Site {
    name: "Cambridge",
    clients: 105,
    days: 31.0,
    requests: 0.971e6,
    cacheable: 0.226e6,
    hit_ratio: 0.38,
    external: 5.7e9,
};

/// The trace of a site, or of `share` of it: as large a part of its clients (8 at least), with
/// their requests and objects.
pub fn synthetic(site: &Site, share: f64, seed: u64) -> Trace {
    let mut dice = Dice::new(seed, Purpose::Requests);
    let clients = ((f64::from(site.clients) * share).round() as u32).max(8);
    let share = f64::from(clients) / f64::from(site.clients);
    let all = site.requests * share;
    let distinct = site.cacheable * share;
    // Without anything becoming stale every hit is a request for what was asked for before.
    let cacheable = (site.hit_ratio * all + distinct).round();
    let length = site.days * DAY;
    let ranks = ranks_for(cacheable, distinct);
    let mean = site.external / (site.requests * (1.0 - site.hit_ratio));

    let mut times: Vec<u64> = times(cacheable as usize, length, &mut dice);
    times.sort_unstable();
    let mut trace = Trace {
        clients,
        length: length as u64,
        ..Trace::default()
    };
    trace.uncacheable = (all - cacheable).max(0.0) as u64;
    trace.uncacheable_bytes = (trace.uncacheable as f64 * mean) as u64;
    let mut numbers = vec![u32::MAX; ranks as usize + 1];
    for at in times {
        let number = &mut numbers[rank(ranks, &mut dice)];
        if *number == u32::MAX {
            *number = trace.items.len() as u32;
            let log = SIZE_SIGMA * dice.normal() - SIZE_SIGMA * SIZE_SIGMA / 2.0;
            let size = (mean * log.exp()).clamp(1.0, f64::from(u32::MAX)) as u32;
            let object = dice.guid();
            trace.items.push(Item { object, size });
        }
        let client = dice.below(clients as usize) as u32;
        let item = *number;
        trace.requests.push(Request { at, client, item });
    }
    trace
}

/// Moments of a Poisson process with a daily rise and fall, of which so many are known to be.
fn times(count: usize, length: f64, dice: &mut Dice) -> Vec<u64> {
    const STEPS: usize = 1440;
    let mut sums = Vec::with_capacity(STEPS);
    let mut sum = 0.0;
    for step in 0..STEPS {
        let turn = (step as f64 + 0.5) / STEPS as f64 * std::f64::consts::TAU;
        sum += (-DAILY * turn.cos()).exp();
        sums.push(sum);
    }
    let days = (length / DAY).ceil().max(1.0) as usize;
    let mut one = || {
        let within = dice.unit() * sum;
        let step = sums.partition_point(|up_to| *up_to < within).min(STEPS - 1);
        let day = dice.below(days) as f64;
        let at = day * DAY + (step as f64 + dice.unit()) / STEPS as f64 * DAY;
        at.min(length) as u64
    };
    (0..count).map(|_| one()).collect()
}

/// A rank from 1, by the continuous form of Zipf's law.
fn rank(ranks: f64, dice: &mut Dice) -> usize {
    let rest = 1.0 - EXPONENT;
    let top = ranks.powf(rest) - 1.0;
    let at = (dice.unit() * top + 1.0).powf(1.0 / rest);
    (at as usize).min(ranks as usize)
}

/// How many ranks there must be for so many requests to be for so many different ones.
fn ranks_for(requests: f64, distinct: f64) -> f64 {
    let (mut low, mut high) = (distinct, distinct * 1000.0);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if expected_distinct(requests, middle) < distinct {
            low = middle;
        } else {
            high = middle;
        }
    }
    high.ceil()
}

/// How many different ranks so many requests are for on average.
fn expected_distinct(requests: f64, ranks: f64) -> f64 {
    let rest = 1.0 - EXPONENT;
    let top = ranks.powf(rest) - 1.0;
    let (mut sum, mut rank) = (0.0, 1.0);
    while rank < ranks {
        // One by one while ranks differ, then in strips of a hundredth.
        let strip = (rank * 0.01).floor().max(1.0).min(ranks - rank).max(1.0);
        let middle = rank + (strip - 1.0) / 2.0;
        let share = ((middle + 1.0).powf(rest) - middle.powf(rest)) / top;
        sum += strip * (1.0 - (-requests * share).exp());
        rank += strip;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_has_what_the_paper_says() {
        let trace = synthetic(&CAMBRIDGE, 1.0, 1);
        let within = |value: f64, wanted: f64, share: f64| {
            assert!(
                (value / wanted - 1.0).abs() < share,
                "{value}, not {wanted}"
            );
        };
        assert_eq!(trace.clients, 105);
        within(trace.all_requests() as f64, 0.971e6, 1e-4);
        within(trace.items.len() as f64, 0.226e6, 0.01);
        assert!(trace.requests.is_sorted_by_key(|request| request.at));
        // Everything is asked for once, and again as often as the hit ratio says.
        let hits = trace.requests.len() - trace.items.len();
        within(hits as f64 / 0.971e6, 0.38, 0.01);
    }
}
