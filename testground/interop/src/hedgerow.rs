//! A Hedgerow node that runs in a namespace, driven by its command.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use data_encoding::BASE64;
use lab::{Lab, Process};
use serde_json::Value;

/// How long the node may take to start.
const START: Duration = Duration::from_secs(30);

/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(30);

/// How often to ask for a state that the command does not wait for.
const LOOK: Duration = Duration::from_millis(100);

/// A running node.
#[derive(Debug)]
pub struct Hedgerow<'a> {
    lab: &'a Lab,
    node: usize,
    program: PathBuf,
    home: String,
    id: String,
    addr: String,
}

impl<'a> Hedgerow<'a> {
    /// Starts it on the lab's node `node`, listening on `listen` only.
    pub fn start(
        lab: &'a Lab,
        node: usize,
        program: &Path,
        listen: &str,
        mdns: bool,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let home = lab.home(node).to_string_lossy().into_owned();
        let flags = [
            "--home", "{home}", "node", "start", "--listen", listen, "--mdns",
        ];
        let mdns = if mdns { "true" } else { "false" };
        let flags: Vec<&str> = flags.iter().chain([&mdns]).chain(more).copied().collect();
        let process = lab.start_with(node, &flags)?;
        if let Err(error) = lab.wait_ready(node, START) {
            let log = std::fs::read_to_string(process.stderr_log()).unwrap_or_default();
            let said = log.lines().rev().find(|line| !line.trim().is_empty());
            return Err(error)
                .with_context(|| format!("the node does not start: {}", said.unwrap_or_default()));
        }
        let mut this = Hedgerow {
            lab,
            node,
            program: program.to_owned(),
            home,
            id: String::new(),
            addr: String::new(),
        };
        let id = this.json(&["node", "id"])?;
        this.id = id["peer_id"].as_str().context("no PeerId")?.to_owned();
        this.addr = id["addresses"][0]
            .as_str()
            .context("no address")?
            .to_owned();
        Ok(this)
    }

    /// Its PeerId.
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// Where it can be dialled, closed by `/p2p/PEER`.
    pub fn addr(&self) -> String {
        self.addr.clone()
    }

    /// Runs `hedgerow --json`, which has to succeed and has an answer.
    pub fn json(&self, args: &[&str]) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.output(args)?).context("not JSON from hedgerow")
    }

    /// Runs `hedgerow`, which has to succeed.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<()> {
        self.output(args).map(drop)
    }

    /// Starts to listen to a topic, for as long as the lab lives.
    pub fn listen(&self, topic: &str) -> anyhow::Result<Listener> {
        let args = ["--home", &self.home, "--json", "gossip", "listen", topic];
        let process = self.lab.spawn(self.node, "listener", &self.program, args)?;
        Ok(Listener { process })
    }

    fn output(&self, args: &[&str]) -> anyhow::Result<Vec<u8>> {
        self.patient(args, COMMAND)
    }

    /// Runs `hedgerow --json`, which has to succeed within a time; what it says.
    pub fn patient(&self, args: &[&str], within: Duration) -> anyhow::Result<Vec<u8>> {
        let within = format!("{}s", within.as_secs());
        let everywhere = [
            "--home",
            &self.home,
            "--no-progress",
            "--json",
            "--timeout",
            &within,
        ];
        let args = everywhere.iter().chain(args);
        let output = self.lab.output(self.node, &self.program, args)?;
        if !output.status.success() {
            bail!("hedgerow says: {}", said(&output.stderr));
        }
        Ok(output.stdout)
    }

    /// Asks again until `done` finds what it looks for in the answer; `what` is what was
    /// waited for.
    pub fn until<T>(
        &self,
        what: &str,
        within: Duration,
        args: &[&str],
        mut done: impl FnMut(&Value) -> Option<T>,
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        loop {
            let answer = self.json(args);
            if let Ok(answer) = &answer
                && let Some(found) = done(answer)
            {
                return Ok(found);
            }
            if begin.elapsed() > within {
                let why = answer.err().map(|error| format!(": {error:#}"));
                bail!(
                    "no {what} within {} s{}",
                    within.as_secs(),
                    why.unwrap_or_default()
                );
            }
            // The state of another process can only be asked for.
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until a connected peer is identified; what `peers ls` says of it.
    pub fn identified(&self, peer: &str, within: Duration) -> anyhow::Result<Value> {
        self.until("identified peer", within, &["peers", "ls"], |peers| {
            let is = |found: &&Value| {
                found["peer_id"] == peer
                    && found["protocols"].as_array().is_some_and(|p| !p.is_empty())
            };
            peers.as_array()?.iter().find(is).cloned()
        })
    }
}

/// A `hedgerow gossip listen` that runs.
#[derive(Debug)]
pub struct Listener {
    process: Arc<Process>,
}

impl Listener {
    /// Waits for a message of a peer.
    pub fn hears(&self, data: &str, from: &str, within: Duration) -> anyhow::Result<()> {
        let data = BASE64.encode(data.as_bytes());
        let is = |line: &str| {
            serde_json::from_str::<Value>(line)
                .is_ok_and(|heard| heard["message"] == data && heard["from"] == from)
        };
        self.process.wait_line("message", within, is)?;
        Ok(())
    }
}

/// The message of a failure that `hedgerow --json` prints, or what else it said.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let message = text.lines().rev().find_map(|line| {
        let failure: Value = serde_json::from_str(line).ok()?;
        Some(failure["message"].as_str()?.to_owned())
    });
    message.unwrap_or_else(|| text.trim().to_owned())
}
