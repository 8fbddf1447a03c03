//! Plan `web-cache`: nodes come and go, and their web caches are one all the same.

mod fetch;
mod origin;
mod page;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use testground::history::now;

use crate::faults::{Faults, State};
use crate::hedgerow::Node;
use crate::team::Team;

use fetch::{Fetched, fetch};
use origin::Origin;
use page::{Pages, Popularity};

/// Where each node's proxy listens.
const PROXY_PORT: u16 = 3128;

/// Where the origin does, at instance 0: a port that a home asks for others (Q36 of
/// `docs/specs/webcache.md`).
const ORIGIN_PORT: u16 = 8000;

/// An answer may be so much older than its freshness says: `Age` and `Date` are whole seconds, on
/// each of the ways origin, home, delegate, asker.
const ROUNDING: Duration = Duration::from_secs(3);

/// What an instance fetched, and what of it a cache of its own alone would have asked the
/// origin for.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Tally {
    fetched: u64,
    failed: u64,
    by_peers: u64,
    alone: u64,
    /// What reached the origin, at instance 0.
    origin: u64,
}

/// Cases `home-store` and `directory`, which are the schemes of the same names: whatever is got is
/// right and fresh enough, fetching fails only where the own node is down, and the origin is asked
/// less than by nodes that do not share.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let within = team.duration("within")?;
    let port = PROXY_PORT.to_string();
    let flags = [
        "--webcache-port",
        &port,
        "--webcache-peers",
        "all",
        "--webcache-peer-networks",
        &team.environment.subnet,
        "--webcache-scheme",
        &team.environment.case,
    ];
    let mut node = Node::new(&team.environment, &flags);
    let origin_at = SocketAddr::new(team.addresses[0], ORIGIN_PORT);
    let pages = Pages::new(&team)?;
    let origin = match team.number {
        0 => Some(Origin::listen(origin_at, pages.clone()).await?),
        _ => None,
    };
    let members = team.start(&mut node).await?;
    team.settle(node.cli(), &members, within).await?;
    team.meet("settled").await?;

    let mut visitor = Visitor::new(&team, origin_at, pages)?;
    team.recorder.stage_start("faults");
    let faults = Faults::new();
    tokio::try_join!(visitor.browse(&faults), faults.take(&team, &mut node))?;
    team.recorder.stage_end("faults");

    team.recorder.stage_start("healing");
    let members = team.members(node.cli(), "nodes after the faults").await?;
    team.settle(node.cli(), &members, within).await?;
    team.meet("healed").await?;
    team.recorder.stage_end("healing");

    team.recorder.stage_start("fetching everything");
    visitor.fetch_all().await?;
    team.meet("fetched").await?;
    team.recorder.stage_end("fetching everything");

    visitor.tally.origin = origin.as_ref().map_or(0, Origin::requests);
    judge(&team, &visitor.tally).await?;
    team.meet("done").await?;
    node.stop().await
}

/// Whether the caches of all were worth more than each its own.
///
/// `share` bounds what reached the origin, as a part of what it would have been asked by nodes that
/// keep everything themselves, over restarts too, and share nothing. Those come to 1 or more, since a
/// fetch that fails or is late keeps less than what is reckoned; so any bound below 1 fails
/// when nobody shares.
async fn judge(team: &Team, own: &Tally) -> anyhow::Result<()> {
    let bound: f64 = team.environment.param("share")?;
    let tallies = team.sync.exchange("tallies", own, team.size()).await?;
    let sum = |field: fn(&Tally) -> u64| tallies.iter().map(field).sum::<u64>();
    let (fetched, alone) = (sum(|tally| tally.fetched), sum(|tally| tally.alone));
    let origin = sum(|tally| tally.origin);
    if alone == 0 || origin == 0 {
        bail!("nothing was fetched, or nothing from the origin");
    }
    let share = origin as f64 / alone as f64;
    let said = format!(
        "{fetched} fetched, {} by help of peers, {} failed as nodes were down; {origin} requests reached the origin, \
         {:.3} of all and {share:.3} of the {alone} of nodes that share nothing",
        sum(|tally| tally.by_peers),
        sum(|tally| tally.failed),
        origin as f64 / fetched as f64,
    );
    team.recorder.message(said.clone());
    if share > bound {
        bail!("the caches are not shared: {said}; {bound} was to be the most");
    }
    Ok(())
}

/// Fetches pages through the own node's proxy.
struct Visitor<'a> {
    team: &'a Team,
    origin: SocketAddr,
    pages: Pages,
    popularity: Popularity,
    chance: ChaCha8Rng,
    pace: Duration,
    /// By page: until when a cache of this instance alone would have it.
    kept_until: Vec<u64>,
    tally: Tally,
}

impl<'a> Visitor<'a> {
    fn new(team: &'a Team, origin: SocketAddr, pages: Pages) -> anyhow::Result<Visitor<'a>> {
        Ok(Visitor {
            team,
            origin,
            popularity: Popularity::new(pages.count, team.environment.param("skew")?),
            chance: team.own_chance(),
            pace: team.duration("pace")?,
            kept_until: vec![0; pages.count],
            tally: Tally::default(),
            pages,
        })
    }

    /// Fetches what is popular until all faults have ended.
    async fn browse(&mut self, faults: &Faults) -> anyhow::Result<()> {
        let mut state = faults.state();
        loop {
            let now = *state.borrow_and_update();
            match now {
                State::Over => return Ok(()),
                State::Down => {
                    state.changed().await?;
                    continue;
                }
                State::Up => {}
            }
            let page = self.popularity.draw(self.chance.random());
            let fetched = self.visit(page).await;
            if let Err(error) = fetched {
                // A node is said to be down before it is killed.
                if !state.has_changed()? || error.is::<Wrong>() {
                    return Err(error);
                }
                self.tally.failed += 1;
            }
            tokio::time::sleep(self.pace).await;
        }
    }

    /// Fetches each page once; all must come.
    async fn fetch_all(&mut self) -> anyhow::Result<()> {
        for page in 0..self.pages.count {
            self.visit(page)
                .await
                .context("all faults were over and the overlay had healed")?;
        }
        Ok(())
    }

    /// Fetches a page and looks at it.
    ///
    /// # Errors
    /// [`Wrong`] if it came whole and is not what it should be; else why it did not come.
    async fn visit(&mut self, page: usize) -> anyhow::Result<()> {
        let url = format!("http://{}/{page}", self.origin);
        let begin = now();
        let proxy = SocketAddr::from(([127, 0, 0, 1], PROXY_PORT));
        let within = self.team.duration("within")?;
        let Fetched { body, by_peer } = tokio::time::timeout(within, fetch(proxy, &url))
            .await
            .with_context(|| format!("{url} did not come within {within:?}"))?
            .with_context(|| url.clone())?;
        self.pages
            .check(page, &body, begin, now(), ROUNDING)
            .map_err(|reason| Wrong(format!("{url}: {reason}")))?;
        self.tally.fetched += 1;
        self.tally.by_peers += u64::from(by_peer);
        if self.kept_until[page] <= begin {
            self.tally.alone += 1;
            self.kept_until[page] = begin + micros(self.pages.fresh);
        }
        Ok(())
    }
}

/// An answer that no fault excuses.
#[derive(Debug)]
struct Wrong(String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// Microseconds, as [`now`] has them.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
