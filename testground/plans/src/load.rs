//! Puts and gets while things go wrong, and what has to be right afterwards.

use std::time::Duration;

use anyhow::bail;
use testground::history::{Outcome, Record};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::client::Client;
use crate::faults::{Faults, Seen, State};
use crate::hedgerow::Cli;
use crate::objects::{Objects, Put, read_all};
use crate::team::{Team, leaf_set};

/// How often a node that is back is asked whether it has found anybody.
const LOOK: Duration = Duration::from_millis(100);

/// Where an instance's chance goes on when the load is over, in words: beyond what any load uses, so
/// that these bytes do not depend on how much was put before.
const AFTERWARDS: u128 = 1 << 60;

/// Between two operations: faults last, and a machine has many instances to run.
const REST: Duration = Duration::from_millis(50);

/// What an instance did and saw of a run with faults.
#[derive(Debug)]
pub(crate) struct Story {
    /// All faults of the run.
    pub(crate) faults: Vec<Seen>,
    /// All puts and gets of this instance.
    pub(crate) records: Vec<Record>,
}

/// The whole of a case with faults: a network, load while things go wrong, one ring again in which
/// everybody puts and reads everything. What was there to see is for the plan to judge.
pub(crate) async fn survive(team: &Team) -> anyhow::Result<Story> {
    let within = team.duration("within")?;
    let size: usize = team.environment.param("size")?;
    let (mut node, _) = team.network(within).await?;
    let client = Client::new(team, node.cli())?;
    let objects = Objects::listen(team).await?;

    team.recorder.stage_start("faults");
    let cli = node.cli().clone();
    let faults = Faults::new();
    // Both have to succeed; the first error is the run's.
    tokio::try_join!(
        load(team, &client, &cli, &objects, &faults),
        faults.take(team, &mut node)
    )?;
    team.recorder.stage_end("faults");

    team.recorder.stage_start("healing");
    // One that was wiped is another node now.
    let members = team.members(&cli, "nodes after the faults").await?;
    team.settle(&cli, &members, within).await?;
    team.meet("healed").await?;
    team.recorder.stage_end("healing");

    team.recorder.stage_start("reading everything");
    let mut chance = team.own_chance();
    chance.set_word_pos(AFTERWARDS);
    if objects
        .put(team, &client, &mut chance, size)
        .await?
        .is_none()
    {
        bail!("a put failed when all faults were over and the overlay had healed");
    }
    let known = objects.finish(team).await?;
    read_all(&client, &known).await?;
    team.recorder.stage_end("reading everything");
    team.meet("done").await?;
    node.stop().await?;
    Ok(Story {
        faults: faults.seen(),
        records: client.records(),
    })
}

impl Story {
    /// Puts and gets that were acknowledged and read while a fault lasted, from beginning to end.
    pub(crate) fn during(&self, fault: &Seen) -> (usize, usize) {
        let ok = |begin: u64, end: u64, outcome: Outcome| {
            outcome == Outcome::Ok && fault.begin <= begin && end <= fault.end
        };
        let mut done = (0, 0);
        for record in &self.records {
            match record {
                Record::Put {
                    begin,
                    end,
                    outcome,
                    ..
                } => done.0 += usize::from(ok(*begin, *end, *outcome)),
                Record::Get {
                    begin,
                    end,
                    outcome,
                    ..
                } => done.1 += usize::from(ok(*begin, *end, *outcome)),
                Record::Final { .. } => {}
            }
        }
        done
    }
}

/// Puts something now and then, and gets anything that anybody has put, again and again, until all
/// faults have ended. While the own node is down, and until it has found somebody, there is nobody to ask.
pub(crate) async fn load(
    team: &Team,
    client: &Client,
    cli: &Cli,
    objects: &Objects,
    faults: &Faults,
) -> anyhow::Result<()> {
    let mut state = faults.state();
    let size: usize = team.environment.param("size")?;
    let pace = team.duration("pace")?;
    let mut chance = team.own_chance();
    let mut due = Instant::now();
    loop {
        if *state.borrow_and_update() == State::Down {
            // The sender goes only after it has said that all is over.
            state.wait_for(|state| *state != State::Down).await?;
            acquainted(team, cli, &mut state).await?;
            continue;
        }
        if *state.borrow_and_update() == State::Over {
            return Ok(());
        }
        if Instant::now() >= due {
            due = Instant::now() + pace;
            objects.put(team, client, &mut chance, size).await?;
        }
        let can_find = |put: &Put| faults.can_find(team.number, put.by, put.at);
        if let Some(object) = objects.any(&mut chance, can_find) {
            client.get(&object.cid).await?;
        }
        tokio::time::sleep(REST).await;
    }
}

/// Waits until the node has found somebody, or is down again.
async fn acquainted(
    team: &Team,
    cli: &Cli,
    state: &mut watch::Receiver<State>,
) -> anyhow::Result<()> {
    let within = team.duration("within")?;
    let deadline = Instant::now() + within;
    while *state.borrow_and_update() != State::Down {
        let output = cli.run(&["overlay", "leafset", "--json"]).await?;
        // A node that was killed meanwhile does not answer.
        if output.status.success() {
            let set = serde_json::from_slice(&output.stdout)?;
            if !leaf_set(&set)?.is_empty() && set["state"] == "active" {
                return Ok(());
            }
        }
        if Instant::now() > deadline {
            bail!("the node that was started again has found nobody after {within:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
