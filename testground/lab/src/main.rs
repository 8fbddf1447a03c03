//! `lab`: starts nodes in network namespaces and lets a person play with them.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use lab::{Family, Lab, Rule, Shape};

/// How long a node may take to say that it is ready.
const READY_PATIENCE: Duration = Duration::from_secs(30);

/// Starts nodes in network namespaces on one bridge and waits for commands.
#[derive(Debug, Parser)]
#[command(name = "lab", version)]
struct Options {
    /// Number of nodes.
    #[arg(long, short, default_value_t = 3)]
    nodes: usize,
    /// Number of bridges; each gives every node an interface.
    #[arg(long, default_value_t = 1)]
    bridges: usize,
    /// The program of the nodes.
    #[arg(long, short)]
    binary: PathBuf,
    /// IPv4 only.
    #[arg(long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// IPv6 only.
    #[arg(long)]
    ipv6: bool,
    /// Latency of every path, one way, ms.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Frames lost on every path, percent.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Rate of every path, Mbit/s; no limit unless set.
    #[arg(long)]
    rate: Option<u64>,
    /// Decides which frames are lost.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The line that says that a node is ready.
    #[arg(long, default_value = "READY=1")]
    ready_line: String,
    /// Arguments of the program; {home}, {index}, {ipv4}, {ipv6} are filled in.
    #[arg(last = true, default_values_t = ["start", "--home", "{home}"].map(String::from))]
    args: Vec<String>,
}

const HELP: &str = "\
  list                   the nodes, their addresses and what they use
  exec NODE COMMAND...   runs a shell command in the node's namespace
                         ($HOME_DIR is the node's home)
  start|stop|kill NODE   starts; SIGTERM; SIGKILL
  detach|attach NODE     cuts the node off the bridge; joins it again
  log NODE               the end of the node's output
  stats                  what the switch has passed and dropped
  quit                   ends everything";

/// As its first argument, makes this program the switch of a lab that it started itself.
const BE_THE_SWITCH: &str = "--be-the-switch";

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(BE_THE_SWITCH) {
        let seed = args.next().context("no seed")?.parse()?;
        return Ok(lab::switch(seed)?);
    }
    let options = Options::parse();
    if let Some(reason) = Lab::unavailable() {
        bail!("no lab on this machine: {reason}");
    }
    let family = match (options.ipv4, options.ipv6) {
        (true, _) => Family::Ipv4,
        (_, true) => Family::Ipv6,
        _ => Family::Dual,
    };
    let shape = Shape {
        latency: Duration::from_millis(options.latency),
        loss: options.loss / 100.0,
        rate: options
            .rate
            .map(|megabits| megabits.saturating_mul(1_000_000)),
        ..Shape::default()
    };
    shape.validate()?;
    let mut builder = Lab::builder()
        .nodes(options.nodes)
        .bridges(options.bridges)
        .family(family)
        .binary(
            options
                .binary
                .canonicalize()
                .with_context(|| format!("no program at {}", options.binary.display()))?,
        )
        .args(options.args)
        .ready_line(options.ready_line);
    let shaped = shape != Shape::default();
    if shaped {
        builder = builder
            .switched(options.seed)
            .switch_program(std::env::current_exe()?, [BE_THE_SWITCH]);
    }
    let lab = builder.build()?;
    if shaped {
        lab.shape([Rule::all(shape)])?;
    }
    let begun = Instant::now();
    lab.start_all()?;
    for node in 0..lab.len() {
        lab.wait_ready(node, READY_PATIENCE)?;
    }
    println!("{} nodes ready after {:?}", lab.len(), begun.elapsed());
    list(&lab);
    println!("{HELP}");
    loop {
        print!("lab> ");
        std::io::stdout().flush()?;
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(());
        }
        match run(&lab, line.trim()) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => println!("{error:#}"),
        }
    }
}

/// Runs one command; `false` when it was the last.
fn run(lab: &Lab, line: &str) -> Result<bool> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    match verb {
        "" => {}
        "list" => list(lab),
        "quit" | "exit" => return Ok(false),
        "exec" => {
            let (node, command) = rest.split_once(' ').context("exec NODE COMMAND...")?;
            let node = number(lab, node)?;
            let mut shell: Command = lab.command(node, "sh")?;
            shell.args(["-c", command]).env("HOME_DIR", lab.home(node));
            println!("{}", shell.status()?);
        }
        "start" => {
            let node = number(lab, rest)?;
            lab.start(node)?;
            lab.wait_ready(node, READY_PATIENCE)?;
        }
        "stop" => println!("{}", lab.stop(number(lab, rest)?)?),
        "kill" => println!("{}", lab.kill(number(lab, rest)?)?),
        "detach" => lab.detach(number(lab, rest)?, 0)?,
        "attach" => lab.attach(number(lab, rest)?, 0)?,
        "stats" => println!("{}", serde_json::to_string_pretty(&lab.switch_stats()?)?),
        "log" => print!("{}", lab.process(number(lab, rest)?)?.tail(40)),
        _ => println!("{HELP}"),
    }
    Ok(true)
}

fn number(lab: &Lab, text: &str) -> Result<usize> {
    let node: usize = text
        .trim()
        .parse()
        .with_context(|| format!("`{text}` is no node"))?;
    if node >= lab.len() {
        bail!("no node {node}: they are 0 to {}", lab.len() - 1);
    }
    Ok(node)
}

fn list(lab: &Lab) {
    println!(
        "{:<5}{:<8}{:<14}{:<18}{:>8}{:>9}{:>10}{:>10}  home",
        "node", "pid", "ipv4", "ipv6", "MiB", "cpu s", "in kB", "out kB"
    );
    for node in 0..lab.len() {
        let traffic = lab.traffic(node, 0);
        let (pid, memory, cpu) = match (lab.process(node), lab.usage(node)) {
            (Ok(process), Ok(usage)) => (
                process.pid().to_string(),
                (usage.resident / (1024 * 1024)).to_string(),
                format!("{:.2}", usage.cpu.as_secs_f64()),
            ),
            _ => ("-".to_owned(), "-".to_owned(), "-".to_owned()),
        };
        println!(
            "{node:<5}{pid:<8}{:<14}{:<18}{memory:>8}{cpu:>9}{:>10}{:>10}  {}",
            lab.ipv4(node, 0).to_string(),
            lab.ipv6(node, 0).to_string(),
            traffic.received_bytes / 1000,
            traffic.sent_bytes / 1000,
            lab.home(node).display(),
        );
    }
}
