//! The node beside an instance, and the commands for it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use testground::environment::Environment;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// The variable with the path of the program; `hedgerow` in `PATH` where it is not set.
const VARIABLE: &str = "HEDGEROW";

/// How long a node may take to say that it is ready: longer than any start on a loaded machine.
const READY_PATIENCE: Duration = Duration::from_secs(60);

/// How long a command may take.
const COMMAND_PATIENCE: &str = "60s";

/// The commands for the node of one home.
#[derive(Debug, Clone)]
pub(crate) struct Cli {
    program: PathBuf,
    home: PathBuf,
    patience: String,
}

/// A node that this instance starts and ends.
#[derive(Debug)]
pub(crate) struct Node {
    cli: Cli,
    flags: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Cli {
    pub(crate) fn new(environment: &Environment) -> Cli {
        Cli {
            program: std::env::var_os(VARIABLE).map_or_else(|| "hedgerow".into(), PathBuf::from),
            home: Path::new(&environment.temp).join("node"),
            patience: COMMAND_PATIENCE.to_owned(),
        }
    }

    /// The same, where commands may take so long.
    pub(crate) fn with_patience(&self, patience: &str) -> Cli {
        Cli {
            patience: patience.to_owned(),
            ..self.clone()
        }
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> anyhow::Result<Output> {
        self.command()
            .args(["--no-progress", "--timeout", &self.patience])
            .args(args)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("cannot run {}", self.program.display()))
    }

    /// Runs a command that has to succeed, and returns its result.
    pub(crate) async fn json(&self, args: &[&str]) -> anyhow::Result<Value> {
        let all: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let output = self.run(&all).await?;
        if !output.status.success() {
            bail!("hedgerow {}: {}", args.join(" "), said(&output));
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("hedgerow {}: no JSON", args.join(" ")))
    }

    /// Starts a command that goes on until it is killed, or dropped.
    pub(crate) fn spawn(&self, args: &[&str], out: File, err: File) -> anyhow::Result<Child> {
        self.command()
            .arg("--no-progress")
            .args(args)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HEDGEROW_") {
                command.env_remove(name);
            }
        }
        command.arg("--home").arg(&self.home);
        command
    }
}

impl Node {
    /// A node that is not started yet. Its output goes to `node.log`.
    pub(crate) fn new(environment: &Environment, flags: &[&str]) -> Node {
        Node {
            cli: Cli::new(environment),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            log: Path::new(&environment.outputs).join("node.log"),
            child: None,
        }
    }

    /// The commands for it.
    pub(crate) fn cli(&self) -> &Cli {
        &self.cli
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        let log = self.open_log()?;
        let mut child = self
            .cli
            .command()
            .args(["node", "start"])
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().context("the node's log")?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.cli.program.display()))?;
        let stdout = child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(stdout).lines();
        tokio::time::timeout(READY_PATIENCE, until_ready(&mut lines, &log))
            .await
            .context("the node was not ready in time")??;
        tokio::spawn(copy(lines, log));
        self.child = Some(child);
        Ok(())
    }

    /// Ends it as a person does, and waits until it has ended.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("no node is running")?;
        let output = self.cli.run(&["node", "stop"]).await?;
        if !output.status.success() {
            bail!("hedgerow node stop: {}", said(&output));
        }
        let status = child.wait().await.context("waiting for the node's end")?;
        if !status.success() {
            bail!("the node that was stopped ended with {status}");
        }
        Ok(())
    }

    /// SIGKILL, and waits until it has ended.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("no node is running")?;
        child.kill().await.context("killing the node")
    }

    /// A signal that does not end it.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self.child.as_ref().context("no node is running")?;
        let pid = child.id().context("the node has ended")?;
        let pid = i32::try_from(pid).context("a pid fits in pid_t")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("sending {signal} to the node"))
    }

    /// Removes what it keeps; it must not be running.
    pub(crate) fn wipe(&self) -> anyhow::Result<()> {
        let home = &self.cli.home;
        std::fs::remove_dir_all(home).with_context(|| format!("cannot remove {}", home.display()))
    }

    /// Waits until it ends; for ever where none is running.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        match &mut self.child {
            Some(child) => child.wait().await.context("waiting for the node"),
            None => std::future::pending().await,
        }
    }

    fn open_log(&self) -> anyhow::Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot open {}", self.log.display()))
    }
}

/// What a command that failed said.
pub(crate) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    format!("{} ({})", text.trim(), output.status)
}

async fn until_ready(lines: &mut Lines<BufReader<ChildStdout>>, log: &File) -> anyhow::Result<()> {
    while let Some(line) = lines.next_line().await.context("the node's output")? {
        note(log, &line);
        if line == "READY=1" {
            return Ok(());
        }
    }
    bail!("the node ended before it was ready; node.log says why")
}

async fn copy(mut lines: Lines<BufReader<ChildStdout>>, log: File) {
    while let Ok(Some(line)) = lines.next_line().await {
        note(&log, &line);
    }
}

/// A full disk must not stop the node by a full pipe.
fn note(mut log: &File, line: &str) {
    let _ = writeln!(log, "{line}");
}
