//! Plan `followers`: what is newest reaches those who follow it, whatever happens between.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::process::Child;
use tokio::time::Instant;

use crate::faults::{Faults, State};
use crate::hedgerow::Cli;
use crate::team::{LOOK, Team};

/// The object that all follow, of instance 0.
const NAME: &str = "news";

/// Cases `partition` and `churn`: all are told of the newest version in the end, and nobody
/// of an older one after a newer one.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let within = team.duration("within")?;
    let (mut node, members) = team.network(within).await?;
    let cli = node.cli().clone();
    let owner = &members.first().context("nobody is there")?.peer_id;
    let follower = Follower::start(&team, &cli, owner)?;
    if team.number == 0 {
        write(&team, &cli)
            .await?
            .context("the first version was not made")?;
    }
    follower.until(1, within).await?;
    team.meet("following").await?;

    team.recorder.stage_start("faults");
    let faults = Faults::new();
    tokio::try_join!(go_on(&team, &cli, &faults), faults.take(&team, &mut node))?;
    team.recorder.stage_end("faults");

    team.recorder.stage_start("healing");
    let members = team.members(&cli, "nodes after the faults").await?;
    team.settle(&cli, &members, within).await?;
    team.meet("healed").await?;
    team.recorder.stage_end("healing");

    team.recorder.stage_start("the newest");
    let last = match team.number {
        0 => last(&team, &cli, within).await?,
        _ => 0,
    };
    let all = team.sync.exchange("the newest", &last, team.size()).await?;
    let newest = all.into_iter().max().unwrap_or_default();
    follower.until(newest, within).await?;
    team.recorder.stage_end("the newest");
    let told = follower.told()?;
    if let Some(back) = told.windows(2).find(|pair| pair[0] >= pair[1]) {
        bail!("version {} was told after version {}", back[1], back[0]);
    }
    let said = format!(
        "{} of {newest} versions were told, none after a newer one",
        told.len()
    );
    team.recorder.message(said);
    team.meet("done").await?;
    follower.end().await?;
    node.stop().await
}

/// Instance 0 writes; the others let happen what happens.
async fn go_on(team: &Team, cli: &Cli, faults: &Faults) -> anyhow::Result<()> {
    let pace = team.duration("pace")?;
    let mut state = faults.state();
    loop {
        let now = *state.borrow_and_update();
        match now {
            State::Over => return Ok(()),
            State::Up if team.number == 0 => {
                // What is refused while the network is broken is no failure of this plan.
                write(team, cli).await?;
                tokio::time::sleep(pace).await;
            }
            State::Up | State::Down => state.changed().await?,
        }
    }
}

/// Makes a version; its number, if it was acknowledged.
async fn write(team: &Team, cli: &Cli) -> anyhow::Result<Option<u64>> {
    let content = Path::new(&team.environment.temp).join("content");
    std::fs::write(&content, format!("{:?}", Instant::now())).context("the content")?;
    let content = content.to_str().context("a path that is no text")?;
    let output = cli.run(&["--json", "object", "put", content, NAME]).await?;
    if !output.status.success() {
        return Ok(None);
    }
    let written: Value = serde_json::from_slice(&output.stdout)?;
    Ok(written["version"]["version"].as_u64())
}

/// The number of a version that is made when all is well again.
async fn last(team: &Team, cli: &Cli, within: Duration) -> anyhow::Result<u64> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(version) = write(team, cli).await? {
            return Ok(version);
        }
        if Instant::now() > deadline {
            bail!("no version was acknowledged within {within:?} after the faults");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// `hedgerow object watch`, and what it was told.
struct Follower {
    child: Child,
    log: PathBuf,
}

impl Follower {
    fn start(team: &Team, cli: &Cli, owner: &str) -> anyhow::Result<Follower> {
        let outputs = Path::new(&team.environment.outputs);
        let log = outputs.join("watched.jsonl");
        let create = |path: &Path| File::create(path).with_context(|| path.display().to_string());
        let child = cli.spawn(
            &["--json", "object", "watch", &format!("{owner}:{NAME}")],
            create(&log)?,
            create(&outputs.join("watched.err"))?,
        )?;
        Ok(Follower { child, log })
    }

    /// The versions that were told so far.
    fn told(&self) -> anyhow::Result<Vec<u64>> {
        let log = std::fs::read_to_string(&self.log).context("what was told")?;
        // The last line may be on its way.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let versions = whole.lines().map(|line| {
            let event: Value = serde_json::from_str(line).context("an event that is no JSON")?;
            event["newest"]
                .as_u64()
                .context("an event without a version")
        });
        versions.collect()
    }

    /// Waits until this version, or a newer one, was told.
    async fn until(&self, version: u64, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        while self.told()?.last().is_none_or(|told| *told < version) {
            if Instant::now() > deadline {
                let told = self.told()?;
                bail!("version {version} was not told within {within:?}, but {told:?}");
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// It has to be running still.
    async fn end(mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait().context("the follower")? {
            bail!("the follower has ended by itself, with {status}; watched.err may say why");
        }
        self.child.kill().await.context("the follower")
    }
}
