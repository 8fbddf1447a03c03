//! A new version, until all who follow it know of it.

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use data_encoding::BASE64;
use http::Method;
use node::api::types::{
    ObjectEvent, ObjectWritten, UpdateAction, UpdateClause, UpdateInsert, UpdateRequest,
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::net::Net;
use crate::report::Series;

/// Longer than a follower asks by itself what it has missed (E8 of `docs/specs/notify.md`).
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Nodes on the bridge that follow the object, beside the one that writes it
    #[arg(long, default_value_t = 32)]
    pub(crate) followers: usize,
    /// Versions that are written, one after the other
    #[arg(long, default_value_t = 50)]
    pub(crate) versions: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            followers: 32,
            versions: 50,
        }
    }
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    let net = Net::joined(options.followers + 1).await?;
    let owner = net.status(0).await?.peer_id;
    let (heard, mut told) = mpsc::unbounded_channel();
    let mut followers = JoinSet::new();
    for follower in 1..=options.followers {
        let path = format!("/api/v1/watch?name={owner}:news");
        let mut events = net.clients[follower].events(&path, None).await?;
        let heard = heard.clone();
        followers.spawn(async move {
            while let Ok(Some((_, event))) = events.next::<ObjectEvent>().await {
                // Nobody listens when all has been measured.
                let _ = heard.send((follower, event.newest, Instant::now()));
            }
        });
    }
    let (mut begun, mut acknowledged, mut last) = (Vec::new(), Vec::new(), Vec::new());
    // The first one is not counted: meshes form as those who follow meet.
    for version in 1..=options.versions + 1 {
        let begin = Instant::now();
        let written: ObjectWritten = net.clients[0]
            .send_json(Method::POST, "/api/v1/named/me:news/updates", &append())
            .await?;
        let answered = Instant::now();
        anyhow::ensure!(
            written.version.version == version,
            "another version was made"
        );
        let mut slowest = 0.0f64;
        let mut missing = options.followers;
        while missing > 0 {
            let next = timeout(PATIENCE, told.recv()).await;
            let next = next.with_context(|| format!("{missing} did not hear of v{version}"))?;
            let (follower, newest, at) = next.context("all followers have ended")?;
            anyhow::ensure!(
                newest == version,
                "{follower} was told of v{newest} in place of v{version}"
            );
            missing -= 1;
            let after = millis(at.saturating_duration_since(answered));
            slowest = slowest.max(after);
            if version > 1 {
                begun.push(millis(at.duration_since(begin)));
                acknowledged.push(after);
            }
        }
        if version > 1 {
            last.push(slowest);
        }
    }
    println!(
        "\nA new version to {} followers, {} versions, milliseconds\n",
        options.followers, options.versions
    );
    println!("| from | median | p95 | p99 | max |");
    println!("|---|---|---|---|---|");
    for (from, values) in [
        ("the acknowledgement, each follower", acknowledged),
        ("the acknowledgement, the last follower", last),
        ("the beginning of the write, each follower", begun),
    ] {
        let series = Series::new(values)?;
        let cells = [0.5, 0.95, 0.99, 1.0].map(|share| format!("{:.1}", series.quantile(share)));
        println!("| {from} | {} |", cells.join(" | "));
    }
    Ok(())
}

/// A few bytes more.
fn append() -> UpdateRequest {
    let insert = UpdateInsert::Bytes(BASE64.encode(b"more"));
    UpdateRequest {
        clauses: vec![UpdateClause {
            predicates: Vec::new(),
            actions: vec![UpdateAction::Splice {
                offset: None,
                delete: 0,
                insert: Some(insert),
            }],
        }],
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
