//! How long nodes stay.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;

/// Gnutella's median session (Saroiu, Gummadi & Gribble, MMCN 2002).
const GNUTELLA_MEDIAN: f64 = 3600.0;

/// Gnutella's mean session in MSPastry's trace, 2.3 hours, over the median. A lognormal
/// distribution with median m has mu = ln m and mean m exp(sigma^2 / 2), so this figure and
/// the median give sigma = sqrt(2 ln 2.3) = 1.29.
const GNUTELLA_MEAN_OVER_MEDIAN: f64 = 2.3;

/// A distribution of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sessions {
    /// Memoryless, as in Poisson traces.
    Exponential,
    /// Heavy-tailed, with the shape of Gnutella's.
    Gnutella,
}

impl Sessions {
    /// The mean where none is asked for.
    pub fn usual_mean() -> Duration {
        Duration::from_secs_f64(GNUTELLA_MEDIAN * GNUTELLA_MEAN_OVER_MEDIAN)
    }

    fn sigma() -> f64 {
        (2.0 * GNUTELLA_MEAN_OVER_MEDIAN.ln()).sqrt()
    }

    /// How long a node stays that starts now.
    pub fn whole(self, mean: Duration, dice: &mut Dice) -> Duration {
        match self {
            Sessions::Exponential => dice.exponential(mean),
            Sessions::Gnutella => {
                let median = mean.as_secs_f64() / GNUTELLA_MEAN_OVER_MEDIAN;
                lognormal(median, dice)
            }
        }
    }

    /// How long a node stays on that is met at a random moment. Long sessions are met more
    /// often: their lognormal has its median moved by exp(sigma^2), and the moment is
    /// anywhere in them.
    pub fn rest(self, mean: Duration, dice: &mut Dice) -> Duration {
        match self {
            Sessions::Exponential => dice.exponential(mean),
            Sessions::Gnutella => {
                let median = mean.as_secs_f64() / GNUTELLA_MEAN_OVER_MEDIAN;
                let met = lognormal(median * (Sessions::sigma().powi(2)).exp(), dice);
                met.mul_f64(dice.unit())
            }
        }
    }
}

fn lognormal(median: f64, dice: &mut Dice) -> Duration {
    // A hundred deviations would overflow; nobody stays for a year in any run.
    let seconds = median * (Sessions::sigma() * dice.normal()).exp();
    Duration::from_secs_f64(seconds.min(365.0 * 24.0 * 3600.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Purpose;

    #[test]
    fn gnutella_has_the_published_median_and_mean() {
        let mut dice = Dice::new(1, Purpose::Schedule);
        let mean = Sessions::usual_mean();
        let mut all: Vec<f64> = (0..200_000)
            .map(|_| Sessions::Gnutella.whole(mean, &mut dice).as_secs_f64())
            .collect();
        let sum: f64 = all.iter().sum();
        let average = sum / all.len() as f64;
        all.sort_by(f64::total_cmp);
        let median = all[all.len() / 2];
        assert!((median / 3600.0 - 1.0).abs() < 0.02, "{median}");
        assert!((average / 8280.0 - 1.0).abs() < 0.03, "{average}");
        let rest: f64 = (0..200_000)
            .map(|_| Sessions::Gnutella.rest(mean, &mut dice).as_secs_f64())
            .sum();
        // Half of E[s^2] / E[s], which is mean exp(sigma^2) / 2.
        let expected = 8280.0 * 2.3f64.powi(2) / 2.0;
        assert!((rest / 200_000.0 / expected - 1.0).abs() < 0.1, "{rest}");
    }
}
