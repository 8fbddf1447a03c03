//! The program `interop`: builds the peers, measures the matrix, writes it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use interop::{
    cell::{Peer, Transport},
    known::Known,
    matrix::{Matrix, Verdict},
    measure::Setup,
    prepare, table, throughput,
};
use lab::{Lab, Shape};

/// Set to anything, makes a peer that cannot be run a failure.
const REQUIRED: &str = "LAB_REQUIRED";

/// Foreign libp2p peers beside a Hedgerow node.
#[derive(Parser)]
#[command(name = "interop")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, and fail if a cell fails that is no known gap
    Matrix(Options),
    /// How fast a file comes over an emulated link, ours and kubo's
    Throughput(Throughput),
    /// The lab's switch, which the lab starts itself
    #[command(hide = true)]
    Switch {
        /// Decides which frames are lost
        seed: u64,
    },
}

#[derive(Args)]
struct Options {
    /// Write the matrix to this page
    #[arg(long, value_name = "PAGE")]
    write: Option<PathBuf>,
    /// Write the matrix as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only these peers (go, js, py, kubo, helia)
    #[arg(long, value_name = "PEER", value_parser = peer)]
    peer: Vec<Peer>,
    /// Only these transports (tcp, quic-v1, ws)
    #[arg(long, value_name = "TRANSPORT", value_parser = transport)]
    transport: Vec<Transport>,
    /// The program `hedgerow` [default: beside this one]
    #[arg(long, value_name = "PATH")]
    hedgerow: Option<PathBuf>,
}

#[derive(Args)]
struct Throughput {
    /// Size of the file
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    mib: usize,
    /// One way
    #[arg(long, value_name = "TIME", default_value = "25ms", value_parser = humantime::parse_duration)]
    latency: Duration,
    /// Share of frames that are lost each way
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    loss: f64,
    /// Bits a second each way [default: no limit]
    #[arg(long, value_name = "MBIT")]
    rate: Option<u64>,
    /// How often each pair is measured
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    runs: u64,
    /// tcp or quic-v1
    #[arg(long, value_name = "TRANSPORT", value_parser = transport, default_value = "tcp")]
    transport: Transport,
    /// The program `hedgerow` [default: beside this one]
    #[arg(long, value_name = "PATH")]
    hedgerow: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Matrix(options) => matrix(&options),
        Command::Throughput(options) => throughput(&options),
        Command::Switch { seed } => lab::switch(seed)
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into),
    };
    done.unwrap_or_else(|error| {
        eprintln!("interop: {error:#}");
        ExitCode::FAILURE
    })
}

fn matrix(options: &Options) -> anyhow::Result<ExitCode> {
    if !Lab::available_or_skip("the interop matrix") {
        return Ok(ExitCode::SUCCESS);
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = beside()?;
    let into = beside.parent().context("no target folder")?.join("interop");
    let hedgerow = hedgerow(options.hedgerow.as_deref(), &beside)?;
    let known = Known::load(&sources.join("known-gaps.toml"))?;
    let mut matrix = Matrix::new(version(&hedgerow)?);
    for peer in chosen(&options.peer, &Peer::ALL) {
        if let Some(reason) = prepare::missing(peer) {
            if std::env::var_os(REQUIRED).is_some() {
                bail!("the {peer} peer is needed ({REQUIRED} is set): {reason}");
            }
            eprintln!("skipped: the {peer} peer: {reason}");
            continue;
        }
        let begin = Instant::now();
        let program = prepare::prepare(peer, sources, &into)?;
        eprintln!("{peer}: ready to run after {:.1?}", begin.elapsed());
        for transport in chosen(&options.transport, &Transport::ALL) {
            let begin = Instant::now();
            let setup = Setup {
                hedgerow: &hedgerow,
                program: &program,
                peer,
                transport,
            };
            let versions = matrix.versions.entry(peer).or_default();
            let measured = setup.measure(versions);
            matrix.add(&known, peer, transport, &measured);
            eprintln!("{peer} {transport}: measured in {:.1?}", begin.elapsed());
        }
    }
    report(&matrix);
    if let Some(path) = &options.write {
        write(path, &table::page(&matrix))?;
    }
    if let Some(path) = &options.json {
        write(path, &(serde_json::to_string_pretty(&matrix)? + "\n"))?;
    }
    Ok(match matrix.failed().count() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn throughput(options: &Throughput) -> anyhow::Result<ExitCode> {
    if !Lab::available_or_skip("the throughput") {
        return Ok(ExitCode::SUCCESS);
    }
    let size = options.mib * 1024 * 1024;
    throughput::check(size, options.runs)?;
    let beside = beside()?;
    let hedgerow = hedgerow(options.hedgerow.as_deref(), &beside)?;
    if let Some(reason) = prepare::missing(Peer::Kubo) {
        bail!("kubo cannot be built here: {reason}");
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let into = beside.parent().context("no target folder")?.join("interop");
    let kubo = prepare::prepare(Peer::Kubo, sources, &into)?;
    let setup = throughput::Setup {
        hedgerow: &hedgerow,
        kubo: &kubo,
        switch: std::env::current_exe()?,
        transport: options.transport,
        shape: Shape {
            latency: options.latency,
            loss: options.loss / 100.0,
            rate: options.rate.map(|mbit| mbit * 1_000_000),
            ..Shape::default()
        },
        size,
        runs: options.runs,
    };
    let lines = setup.measure(|run| eprintln!("{run}"))?;
    match options.json {
        true => println!("{}", serde_json::to_string_pretty(&lines)?),
        false => print!("{}", throughput::table(&lines)),
    }
    // What failed was told when it did, and has no place among the rates.
    Ok(match lines.iter().all(|line| line.failed.is_empty()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// A line for each cell that is not simply right, and the number of the others.
fn report(matrix: &Matrix) {
    for cell in &matrix.cells {
        let (word, what) = match &cell.verdict {
            Verdict::Pass { known: None } => continue,
            Verdict::Pass { known: Some(known) } => ("listed as a gap, but passes", known),
            Verdict::KnownGap { found, .. } => ("known gap", found),
            Verdict::Fail { found } => ("FAIL", found),
        };
        let what = what.lines().next().unwrap_or_default();
        println!(
            "{} {}: {}: {word}: {what}",
            cell.peer, cell.transport, cell.check
        );
    }
    let (failed, closed) = (matrix.failed().count(), matrix.closed().count());
    println!(
        "{} cells, {failed} fail, {closed} listed gaps pass",
        matrix.cells.len()
    );
}

/// The folder of this program.
fn beside() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("where is this program?")?;
    Ok(program
        .parent()
        .context("a program is in a folder")?
        .to_owned())
}

fn hedgerow(given: Option<&Path>, beside: &Path) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        return path
            .canonicalize()
            .with_context(|| path.display().to_string());
    }
    let path = beside.join("hedgerow");
    if !path.exists() {
        bail!(
            "no {}: cargo build -p cli --bin hedgerow, or --hedgerow PATH",
            path.display()
        );
    }
    Ok(path)
}

fn version(hedgerow: &Path) -> anyhow::Result<String> {
    let output = std::process::Command::new(hedgerow)
        .arg("version")
        .output()
        .with_context(|| format!("cannot run {}", hedgerow.display()))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn chosen<T: Copy>(wanted: &[T], all: &[T]) -> Vec<T> {
    if wanted.is_empty() {
        all.to_vec()
    } else {
        wanted.to_vec()
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn peer(text: &str) -> Result<Peer, String> {
    let found = Peer::ALL.into_iter().find(|peer| peer.name() == text);
    found.ok_or_else(|| "go, js, py, kubo or helia".to_owned())
}

fn transport(text: &str) -> Result<Transport, String> {
    let found = Transport::ALL
        .into_iter()
        .find(|transport| transport.name() == text);
    found.ok_or_else(|| "tcp, quic-v1 or ws".to_owned())
}
