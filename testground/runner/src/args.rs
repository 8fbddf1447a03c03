//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Runs plans in Testground's layout on an emulated network.
#[derive(Debug, Parser)]
#[command(name = "testground", version, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 every instance succeeded, 1 one did not, 2 nothing was run, 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a case of a plan, all its cases, or all plans
    Run(Box<Run>),
    /// The plans, their cases, and what can be set
    List {
        #[command(flatten)]
        plans: Plans,
    },
    /// The switch of a lab, which `run` starts itself
    #[command(hide = true)]
    Switch {
        /// Decides which frames are lost
        seed: u64,
    },
    /// A program on a host of this name, which `run` starts itself
    #[command(hide = true)]
    Instance {
        /// The host's name
        hostname: String,
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true)]
        command: Vec<OsString>,
    },
    /// The sync service alone, until it is ended
    SyncService {
        /// Where it listens
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5050")]
        listen: SocketAddr,
        /// A unix socket where it listens too; there must be no file yet
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
    },
}

/// Where plans are.
#[derive(Debug, Args)]
pub(crate) struct Plans {
    /// Folder of the plans
    #[arg(
        long = "plans",
        value_name = "DIR",
        env = "TESTGROUND_PLANS",
        default_value = "testground/plans"
    )]
    pub(crate) folder: PathBuf,
}

/// How bad the network between the instances is.
#[derive(Debug, Args)]
#[command(next_help_heading = "The network between instances, perfect unless said otherwise")]
pub(crate) struct Network {
    /// Time on the way, one way, as in 25ms
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "0s")]
    pub(crate) latency: Duration,
    /// Up to so much more
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "0s")]
    pub(crate) jitter: Duration,
    /// Packets that are lost, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) loss: f64,
    /// Packets that arrive twice, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) duplicate: f64,
    /// Packets that overtake others, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) reorder: f64,
    /// How fast each instance sends and receives, in Mbit/s
    #[arg(long, value_name = "MBIT")]
    pub(crate) rate: Option<u64>,
    /// Packets go through the switch though it is perfect, so that instances may shape it
    #[arg(long)]
    pub(crate) switch: bool,
}

/// What to run, and how.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The plan, or `all`
    #[arg(required_unless_present = "composition")]
    pub(crate) plan: Option<String>,
    /// Its case; all of them unless given
    pub(crate) case: Option<String>,
    /// A composition, which names the plan, the case and groups of instances
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "case", "nodes", "set"])]
    pub(crate) composition: Option<PathBuf>,
    /// How many instances; the case's default unless given
    #[arg(long, value_name = "N")]
    pub(crate) nodes: Option<usize>,
    /// What chance is drawn from; any unless given
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Sets a parameter; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// When a case is ended, as in 90s or 10m
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "10m")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) network: Network,
    /// A list of faults, in place of those that the case or composition has
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// Folder of the results; one of the run's own in `testground-runs` unless given
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) plans: Plans,
    /// The program under test; the one beside this program unless given
    #[arg(long, value_name = "PATH", env = "HEDGEROW")]
    pub(crate) hedgerow: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_command_the_guide_shows_is_understood() {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/testground.md");
        let text = std::fs::read_to_string(guide).unwrap();
        let mut seen = 0;
        for line in text.lines() {
            let line = line.trim_start_matches("target/release/");
            let line = line.trim().trim_start_matches("again:").trim();
            // In blocks the line is the command; in the table it stands between ticks.
            let line = match line.strip_prefix("| `") {
                Some(cell) => cell.split('`').next().unwrap(),
                None => line,
            };
            if !line.starts_with("testground ") {
                continue;
            }
            let words = line.split_whitespace().map(|word| match word {
                "[CASE]" => "CASE",
                "ADDRESS" => "127.0.0.1:5050",
                word => word,
            });
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}\n{error}");
            }
            seen += 1;
        }
        assert!(seen >= 10, "only {seen} commands were found");
    }
}
