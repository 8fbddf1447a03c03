//! What the origin has: pages whose every byte follows from the seed, their number and version.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::micros;
use crate::team::Team;

/// All pages.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    pub(super) count: usize,
    /// For how long an answer is fresh.
    pub(super) fresh: Duration,
    /// How long a version is the newest.
    pub(super) lasts: Duration,
    /// The most bytes of one.
    size: usize,
    seed: u64,
}

impl Pages {
    pub(super) fn new(team: &Team) -> anyhow::Result<Pages> {
        let pages = Pages {
            count: team.environment.param("pages")?,
            fresh: team.duration("fresh")?,
            lasts: team.duration("lasts")?,
            size: team.environment.param("size")?,
            seed: team.environment.seed,
        };
        anyhow::ensure!(
            pages.count > 0 && pages.size >= HEAD && !pages.lasts.is_zero(),
            "there are to be pages, of {HEAD} bytes at least, whose versions last"
        );
        Ok(pages)
    }

    /// The version that is the newest then.
    pub(super) fn version_at(&self, at: u64) -> u64 {
        at / micros(self.lasts)
    }

    /// Its bytes: number and version, and then chance that follows from them.
    pub(super) fn body(&self, page: usize, version: u64) -> Vec<u8> {
        let (page, version) = ((page as u64).to_be_bytes(), version.to_be_bytes());
        let hash = Sha256::new_with_prefix(self.seed.to_be_bytes())
            .chain_update(page)
            .chain_update(version);
        let mut chance = ChaCha8Rng::from_seed(hash.finalize().into());
        let mut body = vec![0; chance.random_range(HEAD..=self.size)];
        chance.fill_bytes(&mut body[HEAD..]);
        body[..8].copy_from_slice(&page);
        body[8..HEAD].copy_from_slice(&version);
        body
    }

    /// Whether this is what a client may get that asked from `begin` on and had it at `end`.
    ///
    /// A version that has been superseded may be given for as long as an answer is fresh that came, or
    /// was validated, at its last moment.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(
        &self,
        page: usize,
        body: &[u8],
        begin: u64,
        end: u64,
        rounding: Duration,
    ) -> Result<(), String> {
        let head = body.first_chunk::<HEAD>();
        let head = head.ok_or_else(|| format!("{} bytes are none of its answers", body.len()))?;
        let [_, version] = [&head[..8], &head[8..]]
            .map(|part| part.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        if version > self.version_at(end) {
            return Err(format!("there is no version {version} yet"));
        }
        let right = self.body(page, version);
        if body != right {
            let at = body.iter().zip(&right).take_while(|(got, put)| got == put);
            return Err(format!(
                "{} bytes came where version {version} has {}; they differ from byte {} on",
                body.len(),
                right.len(),
                at.count()
            ));
        }
        let superseded = (version + 1).saturating_mul(micros(self.lasts));
        let until = superseded + micros(self.fresh + rounding);
        if begin > until {
            return Err(format!(
                "version {version} came {} ms after it was stale",
                (begin - until) / 1000
            ));
        }
        Ok(())
    }
}

/// Number and version.
const HEAD: usize = 16;

/// Which pages are asked for how often: the one of rank R in proportion to R to the power of
/// minus `skew`, as Zipf's law has it.
#[derive(Debug)]
pub(super) struct Popularity(Vec<f64>);

impl Popularity {
    pub(super) fn new(pages: usize, skew: f64) -> Popularity {
        let mut sum = 0.0;
        let up_to = (1..=pages).map(|rank| {
            sum += (rank as f64).powf(-skew);
            sum
        });
        Popularity(up_to.collect())
    }

    /// The page for a number from 0 to 1.
    pub(super) fn draw(&self, chance: f64) -> usize {
        let wanted = chance * self.0.last().copied().unwrap_or_default();
        let page = self.0.partition_point(|up_to| *up_to <= wanted);
        page.min(self.0.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Pages {
        Pages {
            count: 10,
            fresh: Duration::from_secs(10),
            lasts: Duration::from_secs(5),
            size: 1000,
            seed: 7,
        }
    }

    #[test]
    fn only_whole_right_and_fresh_answers_pass() {
        let pages = pages();
        let second = 1_000_000;
        let rounding = Duration::from_secs(3);
        let check = |page, body: &[u8], at: u64| pages.check(page, body, at, at, rounding);
        // Version 2 is the newest from 10 s to 15 s, and fresh until 25 s.
        let body = pages.body(3, 2);
        assert_eq!(check(3, &body, 10 * second), Ok(()));
        assert_eq!(check(3, &body, 28 * second), Ok(()));
        assert!(check(3, &body, 28 * second + 1000).is_err());
        assert!(check(3, &body, 9 * second).is_err());
        assert!(check(4, &body, 10 * second).is_err());
        assert!(check(3, &body[..body.len() - 1], 10 * second).is_err());
        assert!(check(3, &[&body[..], b"x"].concat(), 10 * second).is_err());
        assert!(check(3, &[], 10 * second).is_err());
        let mut damaged = body.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(check(3, &damaged, 10 * second).is_err());
    }

    #[test]
    fn what_is_popular_is_drawn_as_often_as_the_law_says() {
        let popularity = Popularity::new(3, 1.0);
        // 1, 1/2 and 1/3 of 11/6.
        assert_eq!(popularity.draw(0.0), 0);
        assert_eq!(popularity.draw(0.54), 0);
        assert_eq!(popularity.draw(0.55), 1);
        assert_eq!(popularity.draw(0.81), 1);
        assert_eq!(popularity.draw(0.82), 2);
        assert_eq!(popularity.draw(1.0), 2);
    }
}
