//! A process of the lab: its output, its end, its signals.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::namespace::{Hub, lock};
use crate::{LabError, Usage};

/// Lines of standard output kept in memory for [`Process::wait_line`]; all of
/// them are in the log file.
const KEPT_LINES: usize = 4096;

/// How much of the end of a log is read for its tail, bytes.
const TAIL_BYTES: u64 = 64 * 1024;

/// How long a process that has ended is waited for whose children keep its standard output open.
const DRAIN: Duration = Duration::from_secs(1);

/// How long a process may take to be gone after SIGKILL: the kernel may have
/// to write out or free a lot of memory first.
const KILL_PATIENCE: Duration = Duration::from_secs(20);

/// A process started in a node's namespace.
///
/// Its standard output is read line by line and written to a log, its standard
/// error goes straight to another. It is killed at the latest with the lab.
#[derive(Debug)]
pub struct Process {
    label: String,
    pid: u32,
    stdout_log: PathBuf,
    stderr_log: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    /// Number of the first line in `lines`, counted from the start.
    first: usize,
    stdout_closed: bool,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`, which was made by [`Hub::command`]. Logs are appended
    /// to `directory/NAME.out.log` and `directory/NAME.err.log`.
    pub(crate) fn spawn(
        hub: &Arc<Hub>,
        mut command: Command,
        label: &str,
        directory: &Path,
    ) -> Result<Process, LabError> {
        let name = label.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let stdout_log = directory.join(format!("{name}.out.log"));
        let stderr_log = directory.join(format!("{name}.err.log"));
        let out = open_log(&stdout_log)?;
        let err = open_log(&stderr_log)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(err))
            .spawn()
            .map_err(|source| LabError::Tool {
                tool: label.to_owned(),
                source,
            })?;
        let pid = child.id();
        hub.adopt(pid);
        let shared = Arc::new(Shared::default());
        let stdout = child.stdout.take().expect("standard output was just piped");
        spawn_thread("lab-out", {
            let shared = Arc::clone(&shared);
            move || read_lines(stdout, out, &shared)
        });
        spawn_thread("lab-wait", {
            let (shared, hub) = (Arc::clone(&shared), Arc::clone(hub));
            move || reap(child, &hub, &shared)
        });
        Ok(Process {
            label: label.to_owned(),
            pid,
            stdout_log,
            stderr_log,
            shared,
        })
    }

    /// The name given when it was started.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its process id, as this process sees it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file with all of its standard output.
    pub fn stdout_log(&self) -> &Path {
        &self.stdout_log
    }

    /// The file with all of its standard error.
    pub fn stderr_log(&self) -> &Path {
        &self.stderr_log
    }

    /// How it ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        lock(&self.shared.state).status
    }

    /// What it uses now; `None` once it has ended.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.pid).filter(|_| self.status().is_none())
    }

    /// Waits for a line of standard output that `wanted` accepts, among those
    /// already printed as well, and returns it. `what` names it in the error.
    pub fn wait_line(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, LabError> {
        let deadline = Instant::now() + within;
        let mut seen = 0;
        let mut state = lock(&self.shared.state);
        loop {
            let skip = usize::saturating_sub(seen, state.first);
            if let Some(line) = state.lines.iter().skip(skip).find(|line| wanted(line)) {
                return Ok(line.clone());
            }
            seen = state.first + state.lines.len();
            if let (Some(status), true) = (state.status, state.stdout_closed) {
                drop(state);
                return Err(LabError::Ended {
                    label: self.label.clone(),
                    status,
                    what: what.to_owned(),
                    tail: self.tail(20),
                });
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                drop(state);
                return Err(self.timeout(what, within));
            };
            state = self.wait(state, left);
        }
    }

    /// Waits until the process has ended.
    pub fn wait_exit(&self, within: Duration) -> Result<ExitStatus, LabError> {
        let deadline = Instant::now() + within;
        let mut state = lock(&self.shared.state);
        let mut drained_by = None;
        loop {
            if let Some(status) = state.status {
                // What it said last may be on its way into the log.
                let drained_by = *drained_by.get_or_insert_with(|| Instant::now() + DRAIN);
                match drained_by.checked_duration_since(Instant::now()) {
                    Some(left) if !state.stdout_closed => {
                        state = self.wait(state, left);
                        continue;
                    }
                    _ => return Ok(status),
                }
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                drop(state);
                return Err(self.timeout("end", within));
            };
            state = self.wait(state, left);
        }
    }

    /// SIGKILL, and waits until the process is gone. Nothing if it has ended.
    pub fn kill(&self) -> Result<ExitStatus, LabError> {
        self.signal(Signal::SIGKILL)?;
        self.wait_exit(KILL_PATIENCE)
    }

    /// SIGTERM, and waits until the process has ended.
    pub fn terminate(&self, within: Duration) -> Result<ExitStatus, LabError> {
        self.signal(Signal::SIGTERM)?;
        self.wait_exit(within)
    }

    /// Sends a signal; nothing if the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), LabError> {
        // The reaper sets the status under this lock, before the number can
        // belong to another process.
        let state = lock(&self.shared.state);
        if state.status.is_some() {
            return Ok(());
        }
        let pid = Pid::from_raw(i32::try_from(self.pid).expect("a pid fits in pid_t"));
        kill(pid, signal).map_err(|errno| {
            LabError::file(
                format!("send {signal} to {}", self.label),
                io::Error::from(errno),
            )
        })
    }

    /// The last `lines` lines of both logs, headed by their names.
    pub fn tail(&self, lines: usize) -> String {
        let mut text = String::new();
        for (name, log) in [("stdout", &self.stdout_log), ("stderr", &self.stderr_log)] {
            let tail = tail_of(log, lines);
            if !tail.is_empty() {
                text.push_str(&format!("--- {} {name} (last lines)\n{tail}", self.label));
            }
        }
        text
    }

    fn timeout(&self, what: &str, within: Duration) -> LabError {
        LabError::Timeout {
            label: self.label.clone(),
            what: what.to_owned(),
            within,
            tail: self.tail(20),
        }
    }

    fn wait<'a>(
        &self,
        state: std::sync::MutexGuard<'a, State>,
        left: Duration,
    ) -> std::sync::MutexGuard<'a, State> {
        let (state, _) = self
            .shared
            .changed
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner);
        state
    }
}

fn read_lines(stdout: ChildStdout, mut log: File, shared: &Shared) {
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        // A full disk must not stop the node by a blocked pipe.
        let _ = log.write_all(&line);
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let mut state = lock(&shared.state);
        state.lines.push_back(text);
        if state.lines.len() > KEPT_LINES {
            state.lines.pop_front();
            state.first += 1;
        }
        shared.changed.notify_all();
    }
    lock(&shared.state).stdout_closed = true;
    shared.changed.notify_all();
}

fn reap(mut child: Child, hub: &Hub, shared: &Shared) {
    let pid = child.id();
    let child_pid = Pid::from_raw(i32::try_from(pid).expect("a pid fits in pid_t"));
    // First without reaping: until the child is reaped its number is its own,
    // so that is the moment to take it off the list of those to be killed.
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(child_pid), flags) == Err(nix::errno::Errno::EINTR) {}
    hub.forget(pid);
    let mut state = lock(&shared.state);
    state.status = child.wait().ok();
    shared.changed.notify_all();
}

fn spawn_thread(name: &str, run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .expect("a machine that starts processes can start a thread");
}

pub(crate) fn open_log(path: &Path) -> Result<File, LabError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| LabError::file(format!("open {}", path.display()), source))
}

pub(crate) fn tail_of(path: &Path, lines: usize) -> String {
    let Ok(mut file) = File::open(path) else {
        return String::new();
    };
    let length = file.metadata().map_or(0, |meta| meta.len());
    let mut bytes = Vec::new();
    if file
        .seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
        .is_err()
        || file.take(TAIL_BYTES).read_to_end(&mut bytes).is_err()
    {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let mut tail = all[all.len().saturating_sub(lines)..].join("\n");
    if !tail.is_empty() {
        tail.push('\n');
    }
    tail
}
