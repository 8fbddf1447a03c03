//! `plans`: one instance of a plan. Which plan and case, and everything else, is in its
//! environment; see `docs/testground.md`.
//!
//! It steers its node by the program `hedgerow` alone, and the other instances by the sync
//! service alone, so it runs wherever Testground's environment is.

mod bad_libp2p;
mod bad_peer;
mod bulk;
mod churn;
mod client;
mod discovery;
mod faults;
mod flood;
mod followers;
mod full_disk;
mod hedgerow;
mod hole_punch;
mod kill_third;
mod load;
mod many;
mod objects;
mod partition_heal;
mod rolling_restart;
mod slow_node;
mod team;
mod two_lans;
mod web_cache;

use std::process::ExitCode;

use anyhow::{Context, bail};
use testground::environment::Environment;
use testground::event::Recorder;
use testground::sync;

use flood::Tongue;
use team::Team;

// One thread: what it starts hears of the end of the thread that started it, which so is
// the end of the instance.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let environment = match Environment::of_process() {
        Ok(environment) => environment,
        Err(error) => {
            eprintln!("error: {:#}", anyhow::Error::from(error));
            return ExitCode::from(2);
        }
    };
    let recorder = Recorder::new(&environment);
    report_crashes(recorder.clone());
    let started = recorder.start();
    let ended = match sync::Client::connect(&environment).await {
        Ok(client) => {
            // What the service does not hear is on standard output all the same.
            let _ = client.signal_event(&started).await;
            let done = run(environment, recorder.clone(), client.clone()).await;
            let event = match &done {
                Ok(()) => recorder.success(),
                Err(error) => recorder.failure(format!("{error:#}")),
            };
            let _ = client.signal_event(&event).await;
            done
        }
        Err(error) => {
            let error = anyhow::Error::from(error);
            recorder.failure(format!("{error:#}"));
            Err(error)
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

async fn run(
    environment: Environment,
    recorder: Recorder,
    sync: sync::Client,
) -> anyhow::Result<()> {
    let (plan, case) = (environment.plan.clone(), environment.case.clone());
    let team = Team::gather(environment, recorder, sync)
        .await
        .context("gathering the instances")?;
    match (plan.as_str(), case.as_str()) {
        ("discovery", "lan" | "ipv6" | "ipv4" | "interfaces") => discovery::run(team).await,
        ("rolling-restart", "under-load") => rolling_restart::run(team).await,
        ("kill-third", "at-once") => kill_third::run(team).await,
        ("hole-punch", "cone" | "symmetric") => hole_punch::run(team).await,
        ("many", "one-machine") => many::run(team).await,
        ("two-lans", "router") => two_lans::run(team).await,
        ("partition-heal", "halves" | "one-way") => partition_heal::run(team).await,
        ("followers", "partition" | "churn") => followers::run(team).await,
        ("churn", "sessions") => churn::run(team).await,
        ("bulk", "tcp" | "quic") => bulk::run(team).await,
        ("flood", "garbage") => flood::run(team, Tongue::Plain).await,
        ("flood", "streams") => flood::run(team, Tongue::Libp2p).await,
        ("full-disk", "one") => full_disk::run(team).await,
        ("slow-node", "stopped") => slow_node::run(team).await,
        ("web-cache", "home-store" | "directory") => web_cache::run(team).await,
        _ => bail!("this program has no case `{case}` of a plan `{plan}`"),
    }
}

/// A panic becomes an event, and still ends the program.
fn report_crashes(recorder: Recorder) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        recorder.crash(panic.to_string(), place.unwrap_or_default());
        usual(panic);
    }));
}
