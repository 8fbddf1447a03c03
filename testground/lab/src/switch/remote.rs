//! The lab's end of the switch: a child process that takes orders.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::orders::{Order, Reply, SwitchStats};
use crate::namespace::{Hub, lock};
use crate::process::{open_log, tail_of};
use crate::{LabError, Usage};

/// The program, where nothing else is said.
const PROGRAM: &str = "lab-switch";

/// Names the program, for those who have it elsewhere.
const PROGRAM_VARIABLE: &str = "LAB_SWITCH";

/// Lines of the switch's log that are shown when it is gone.
const LAST_LINES: usize = 20;

/// How long the switch may take to end when it is told to.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// How often to look whether it has ended.
const END_LOOK: Duration = Duration::from_millis(5);

/// A switch that runs as long as this does.
#[derive(Debug)]
pub(crate) struct Switch {
    line: Mutex<Line>,
    pid: u32,
    hub: Arc<Hub>,
    log: PathBuf,
}

#[derive(Debug)]
struct Line {
    child: Child,
    // Closed first when the switch shall end.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Switch {
    /// Starts a switch; `command` runs its program, given by [`program`], in the lab's
    /// user namespace.
    pub(crate) fn start(
        hub: &Arc<Hub>,
        mut command: Command,
        seed: u64,
        logs: &Path,
    ) -> Result<Switch, LabError> {
        let failed = |source| LabError::Tool {
            tool: PROGRAM.to_owned(),
            source,
        };
        let path = logs.join("switch.err.log");
        let log = open_log(&path)?;
        let mut child = command
            .arg(seed.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("standard output was just piped");
        // Should the lab die and the switch not notice, the hub kills it.
        hub.adopt(child.id());
        Ok(Switch {
            hub: Arc::clone(hub),
            log: path,
            pid: child.id(),
            line: Mutex::new(Line {
                child,
                stdin,
                stdout: BufReader::new(stdout),
            }),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Gives an order that has no answer but that it was obeyed.
    pub(crate) fn order(&self, order: &Order) -> Result<(), LabError> {
        self.ask(order).map(drop)
    }

    /// What has passed so far, and what the switch has used; without what the kernel
    /// dropped, which only the lab can see.
    pub(crate) fn stats(&self) -> Result<SwitchStats, LabError> {
        let reply = self.ask(&Order::Stats)?;
        let Reply::Stats(mut stats) = reply else {
            return Err(LabError::Switch("an answer to another question".to_owned()));
        };
        if let Some(usage) = Usage::of(self.pid) {
            stats.cpu_millis = u64::try_from(usage.cpu.as_millis()).unwrap_or(u64::MAX);
        }
        Ok(stats)
    }

    fn ask(&self, order: &Order) -> Result<Reply, LabError> {
        let broken = |source: std::io::Error| LabError::Switch(format!("it is gone: {source}"));
        let mut text = serde_json::to_string(order).expect("an order has only plain fields");
        text.push('\n');
        let mut line = lock(&self.line);
        let Some(stdin) = line.stdin.as_mut() else {
            return Err(LabError::Switch("it has ended".to_owned()));
        };
        stdin.write_all(text.as_bytes()).map_err(broken)?;
        let mut answer = String::new();
        if line.stdout.read_line(&mut answer).map_err(broken)? == 0 {
            let said = tail_of(&self.log, LAST_LINES);
            return Err(LabError::Switch(format!(
                "it ended before it answered\n{said}"
            )));
        }
        match serde_json::from_str(&answer) {
            Ok(Reply::Failed(reason)) => Err(LabError::Switch(reason)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(LabError::Switch(format!("its answer is none: {error}"))),
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let mut line = lock(&self.line);
        drop(line.stdin.take());
        let deadline = Instant::now() + END_PATIENCE;
        while let Ok(None) = line.child.try_wait() {
            if Instant::now() > deadline {
                let _ = line.child.kill();
                let _ = line.child.wait();
                break;
            }
            std::thread::park_timeout(END_LOOK);
        }
        self.hub.forget(self.pid);
    }
}

/// The switch's program: what `LAB_SWITCH` names, else the file beside the running
/// program or, where that is a test, a folder higher.
pub(crate) fn program() -> Result<PathBuf, LabError> {
    if let Some(path) = std::env::var_os(PROGRAM_VARIABLE) {
        return Ok(path.into());
    }
    let own = std::env::current_exe()
        .map_err(|source| LabError::file("find the running program", source))?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(PROGRAM))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            LabError::Invalid(format!(
                "the program {PROGRAM} is not beside {}: build it (cargo build -p lab), or name it \
                 in {PROGRAM_VARIABLE}",
                own.display()
            ))
        })
}
