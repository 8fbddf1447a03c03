//! How much the switch forwards, beside the kernel's bridge in the same run.
//!
//! `cargo bench -p lab` prints a table; run as a test, everything is done once and small.
//! Pairs of nodes send to each other over TCP at once.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Result;
use lab::{Builder, Lab, Rule, Shape};

const PROBE: &str = env!("CARGO_BIN_EXE_lab-probe");

/// How long one run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What joins the nodes.
#[derive(Clone, Copy)]
enum Joined {
    Bridge,
    Switch,
    /// The switch, with a latency that makes every frame wait.
    Late,
    /// The switch, with a rate nobody reaches, for which each packet is treated by itself.
    Cut,
}

impl Joined {
    const ALL: [Joined; 4] = [Joined::Bridge, Joined::Switch, Joined::Late, Joined::Cut];

    fn name(self) -> &'static str {
        match self {
            Joined::Bridge => "baseline: the kernel's bridge",
            Joined::Switch => "switch",
            Joined::Late => "switch, 1 ms each way",
            Joined::Cut => "switch, packet by packet",
        }
    }
}

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    if !Lab::available_or_skip("the switch's benchmark") {
        return Ok(());
    }
    let (rounds, bytes) = if is_bench {
        (5, 512 * 1024 * 1024)
    } else {
        (1, 4 * 1024 * 1024)
    };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| pairs | joined by | Gbit/s, median | least | most | switch: cores | late | unread | saturated |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    for pairs in [1, 4] {
        for joined in Joined::ALL {
            let mut runs = Vec::new();
            for _ in 0..rounds {
                runs.push(run(joined, pairs, bytes)?);
            }
            runs.sort_by(|a, b| a.gigabits.total_cmp(&b.gigabits));
            let median = &runs[runs.len() / 2];
            let (least, most) = (runs[0].gigabits, runs[runs.len() - 1].gigabits);
            writeln!(
                out,
                "| {pairs} | {} | {:.2} | {least:.2} | {most:.2} | {} |",
                joined.name(),
                median.gigabits,
                median.switch
            )?;
        }
    }
    Ok(())
}

struct Run {
    gigabits: f64,
    /// The switch's columns.
    switch: String,
}

/// Lets `pairs` senders send `bytes` in all to as many receivers.
fn run(joined: Joined, pairs: usize, bytes: u64) -> Result<Run> {
    let builder: Builder = Lab::builder().nodes(2 * pairs).ipv4_only();
    let lab = match joined {
        Joined::Bridge => builder.build()?,
        _ => builder.switched(1).build()?,
    };
    let shape = match joined {
        Joined::Bridge | Joined::Switch => None,
        Joined::Late => Some(Shape::latency(Duration::from_millis(1))),
        Joined::Cut => Some(Shape::default().with_rate(100_000_000_000)),
    };
    if let Some(shape) = shape {
        lab.shape([Rule::all(shape)])?;
    }
    for pair in 0..pairs {
        let sink = lab.spawn(pairs + pair, &format!("sink {pair}"), PROBE, ["sink"])?;
        sink.wait_line("readiness", PATIENCE, |line| line == "READY=1")?;
    }
    let before = lab.switch_stats().ok();
    let begun = Instant::now();
    let share = (bytes / pairs as u64).to_string();
    let senders: Vec<_> = (0..pairs)
        .map(|pair| {
            let address = lab.ipv4(pairs + pair, 0).to_string();
            let args = ["blast", &address, &share];
            lab.spawn(pair, &format!("blast {pair}"), PROBE, args)
        })
        .collect::<Result<_, _>>()?;
    for sender in senders {
        let status = sender.wait_exit(PATIENCE)?;
        anyhow::ensure!(status.success(), "{}", sender.tail(10));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let switch = match (before, lab.switch_stats().ok()) {
        (Some(before), Some(after)) => {
            let cores = (after.cpu_millis - before.cpu_millis) as f64 / 1000.0 / seconds;
            let late = 100.0 * after.late as f64 / after.delivered.max(1) as f64;
            let unread = after.unread;
            let saturated = if after.saturated() { "yes" } else { "no" };
            format!("{cores:.2} | {late:.1}% | {unread} | {saturated}")
        }
        _ => "- | - | - | -".to_owned(),
    };
    let sent = (bytes / pairs as u64 * pairs as u64 * 8) as f64;
    Ok(Run {
        gigabits: sent / seconds / 1e9,
        switch,
    })
}
