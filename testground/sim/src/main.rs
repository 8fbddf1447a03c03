//! The program `sim`: figures of the overlay from virtual networks.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use rayon::prelude::*;
use sim::report::{Table, plot, write_whole};
use sim::scenario::{self, Scenario};
use sim::tables::{self, Name, Options};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The overlay in virtual time: the papers' figures beside ours.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tables: the paper's figure, ours, and the difference.
    Table {
        /// Which. Several share the networks that they need.
        #[arg(required = true)]
        names: Vec<Name>,
        #[command(flatten)]
        how: How,
    },
    /// What a scenario file describes.
    Run {
        /// The file.
        file: PathBuf,
        /// Other seeds than the file's, one run each, on all cores.
        #[arg(long, value_delimiter = ',')]
        seed: Vec<u64>,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// The shared web cache on an access log in common log format.
    Webcache {
        /// The log.
        log: PathBuf,
        /// Room at each node, in megabytes.
        #[arg(long, default_value_t = 100)]
        room_mb: u64,
        #[command(flatten)]
        how: How,
    },
    /// Every table.
    All {
        /// Where tables, JSON and plots go.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Args)]
struct How {
    /// The seeds, one run each; their mean and spread are shown.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3, 4, 5])]
    seeds: Vec<u64>,
    /// Small networks.
    #[arg(long)]
    quick: bool,
    /// No network larger than this.
    #[arg(long, default_value_t = 100_000)]
    most_nodes: usize,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Writes plots into this folder.
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Shows no progress bar.
    #[arg(long)]
    no_progress: bool,
}

impl How {
    fn options(&self) -> Options {
        Options {
            most_nodes: self.most_nodes,
            progress: !self.no_progress,
            ..Options::new(self.seeds.clone(), self.quick)
        }
    }
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Table { names, how } => {
            let options = how.options();
            for name in names {
                let table = tables::make(name, &options)?;
                if let Some(folder) = &how.plots {
                    draw(&table, folder)?;
                }
                if how.json {
                    println!("{}", serde_json::to_string_pretty(&table)?);
                } else {
                    println!("{table}");
                }
            }
        }
        Command::Webcache { log, room_mb, how } => {
            let table = tables::of_log(&log, room_mb, &how.options())?;
            if how.json {
                println!("{}", serde_json::to_string_pretty(&table)?);
            } else {
                println!("{table}");
            }
        }
        Command::Run { file, seed, json } => run(&file, &seed, json)?,
        Command::All { out, how } => {
            let options = how.options();
            for name in Name::ALL {
                let table = tables::make(name, &options)?;
                println!("{table}");
                write_whole(
                    &out.join(format!("{}.md", table.name)),
                    table.to_string().as_bytes(),
                )?;
                let json = serde_json::to_vec_pretty(&table)?;
                write_whole(&out.join(format!("{}.json", table.name)), &json)?;
                draw(&table, &out)?;
            }
        }
    }
    Ok(())
}

/// Runs a scenario once for each seed; a run in which something did not hold is an error
/// that says how to see it again.
fn run(file: &Path, seeds: &[u64], json: bool) -> anyhow::Result<()> {
    let scenario = Scenario::read(file)?;
    let seeds = match seeds {
        [] => vec![scenario.seed],
        seeds => seeds.to_vec(),
    };
    let runs: Vec<_> = seeds
        .par_iter()
        .map(|seed| {
            let scenario = Scenario {
                seed: *seed,
                ..scenario.clone()
            };
            scenario::run(&scenario, None)
        })
        .collect();
    let mut failed = Vec::new();
    for (seed, report) in seeds.iter().zip(runs) {
        let report = report.with_context(|| again(file, *seed))?;
        if json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{report}");
        }
        if !report.is_good() {
            failed.push(again(file, *seed));
        }
    }
    anyhow::ensure!(failed.is_empty(), "to see it again:\n{}", failed.join("\n"));
    Ok(())
}

fn again(file: &Path, seed: u64) -> String {
    format!("sim run {} --seed {seed}", file.display())
}

fn draw(table: &Table, folder: &Path) -> anyhow::Result<()> {
    if let Some(svg) = plot(table)? {
        let path = folder.join(format!("{}.svg", table.name));
        write_whole(&path, svg.as_bytes()).context("the plot is lost")?;
    }
    Ok(())
}
