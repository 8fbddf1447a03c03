//! A foreign peer that runs in a namespace.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use lab::Lab;
use serde_json::{Map, Value};

use crate::{
    line::{Command, MAX_LINE, Ready, Request},
    prepare::Program,
};

/// How long a peer may take to start: an interpreter loads some hundred files first.
const START: Duration = Duration::from_secs(60);

/// A peer answers within the time of the request; this long after it, it hangs.
const GRACE: Duration = Duration::from_secs(15);

/// Answers read ahead; a peer gives one for each request.
const AHEAD: usize = 16;

/// A running peer. It ends when it is dropped.
#[derive(Debug)]
pub struct Foreign {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    ready: Ready,
    next: u64,
}

impl Foreign {
    /// Starts a peer on a node of the lab, and waits until it listens. `label` names its log.
    pub fn start(
        lab: &Lab,
        node: usize,
        label: &str,
        program: &Program,
        args: &[String],
    ) -> anyhow::Result<Foreign> {
        let log = File::create(lab.logs().join(format!("{label}.err.log")))
            .context("cannot make the log of a peer")?;
        let mut child = lab
            .command(node, &program.path)?
            .args(&program.args)
            .args(args)
            // Whatever it makes and leaves behind goes with the lab.
            .env("TMPDIR", lab.logs())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.path.display()))?;
        let stdin = child.stdin.take().expect("it was just piped");
        let lines = reader(child.stdout.take().expect("it was just piped"));
        let mut peer = Foreign {
            child,
            stdin,
            lines,
            ready: Ready {
                ready: false,
                peer: String::new(),
                addrs: Vec::new(),
                versions: Vec::new(),
            },
            next: 0,
        };
        peer.ready = peer
            .line(START)
            .and_then(|line| Ready::parse(&line))
            .map_err(|error| {
                let log = std::fs::read_to_string(lab.logs().join(format!("{label}.err.log")));
                anyhow!(
                    "{label} does not start: {error:#}: {}",
                    last_line(&log.unwrap_or_default())
                )
            })?;
        Ok(peer)
    }

    /// What it said when it was ready.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Its PeerId.
    pub fn id(&self) -> String {
        self.ready.peer.clone()
    }

    /// Where it can be dialled, closed by `/p2p/PEER`.
    pub fn addr(&self) -> anyhow::Result<String> {
        self.ready.addrs.first().cloned().context("no address")
    }

    /// Has it do something; the answer's members.
    pub fn ask(
        &mut self,
        command: Command,
        within: Duration,
    ) -> anyhow::Result<Map<String, Value>> {
        self.next += 1;
        let request = Request {
            id: self.next,
            within_ms: u64::try_from(within.as_millis())?,
            command,
        };
        self.stdin
            .write_all(request.to_line().as_bytes())
            .context("the peer has ended")?;
        let line = self.line(within + GRACE)?;
        request
            .answer(&line)?
            .map_err(|error| anyhow!("{}: the peer says: {error}", request.command.name()))
    }

    fn line(&self, within: Duration) -> anyhow::Result<String> {
        match self.lines.recv_timeout(within) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("no line within {} s", within.as_secs()),
            Err(RecvTimeoutError::Disconnected) => bail!("the peer has ended"),
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have ended already; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reader(stdout: ChildStdout) -> Receiver<String> {
    let (send, lines) = sync_channel(AHEAD);
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        loop {
            let mut line = Vec::new();
            let most = MAX_LINE as u64;
            match (&mut stdout).take(most).read_until(b'\n', &mut line) {
                Ok(count) if count > 0 && line.ends_with(b"\n") => {}
                _ => return,
            }
            if send
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
    lines
}

fn last_line(log: &str) -> &str {
    log.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
}
