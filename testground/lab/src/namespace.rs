//! Network namespaces, each held open by a small process.
//!
//! A namespace without a name lives as long as a process in it. Each one here
//! is held by a shell that waits on its standard input, a pipe whose other end
//! is ours. When we close it, or die of anything, SIGKILL included, the shell
//! reads the end of the file and goes, and the kernel takes the namespace with
//! its links. Nothing is left behind, and nothing has to be cleaned up later.
//!
//! The first namespace, the [`Hub`], also owns the user namespace (which gives
//! the rights to make the others) and keeps the list of the processes started
//! in the lab: at the end of its input it kills those that are still there.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::LabError;

/// Reads `+ PID` and `- PID`; at the end of the input kills what remains.
const HUB_SCRIPT: &str = r#"
echo held
pids=
while read -r op pid; do
  case $op in
  +) pids="$pids $pid" ;;
  -) rest=
     for p in $pids; do [ "$p" = "$pid" ] || rest="$rest $p"; done
     pids=$rest ;;
  esac
done
[ -z "$pids" ] || kill -KILL $pids
"#;

/// Holds a namespace until the end of its input.
const HOLDER_SCRIPT: &str = "echo held; exec cat >/dev/null";

/// The same, after mounting a file system in memory: `$1` bytes at `$2`.
const DISK_SCRIPT: &str =
    "mount -t tmpfs -o \"size=$1,mode=0700\" tmpfs \"$2\" && echo held && exec cat >/dev/null";

/// Directories searched for tools beside `PATH`: a user's `PATH` often lacks
/// the ones where `ip` lives.
const EXTRA_TOOL_DIRS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// The namespace with the bridges; owner of all the others.
#[derive(Debug)]
pub(crate) struct Hub {
    holder: Holder,
    user_namespace: bool,
}

impl Hub {
    /// Makes the hub: in a user namespace of its own, or, where that is
    /// forbidden and we are root, without one.
    pub(crate) fn new() -> Result<Hub, LabError> {
        let first = match Hub::with_user_namespace(true) {
            Ok(hub) => return Ok(hub),
            Err(error) => error,
        };
        if !nix::unistd::geteuid().is_root() {
            return Err(first);
        }
        Hub::with_user_namespace(false).map_err(|second| {
            LabError::Unavailable(format!(
                "{}; as root: {}",
                one_line(&first),
                one_line(&second)
            ))
        })
    }

    fn with_user_namespace(user_namespace: bool) -> Result<Hub, LabError> {
        let mut command = Command::new(tool("unshare")?);
        if user_namespace {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--net", "--", "sh", "-c", HUB_SCRIPT]);
        let holder = Holder::spawn(command)?;
        Ok(Hub {
            holder,
            user_namespace,
        })
    }

    /// A namespace of its own beside the hub, with nothing but a loopback. With a `disk`,
    /// what runs inside finds a file system of so many bytes at that place.
    pub(crate) fn namespace(&self, disk: Option<(&Path, u64)>) -> Result<Namespace, LabError> {
        let mut command = self.nsenter(self.holder.pid, false)?;
        command.arg("--").arg(tool("unshare")?).arg("--net");
        match disk {
            None => command.args(["--", "sh", "-c", HOLDER_SCRIPT]),
            Some((place, bytes)) => command
                .args(["--mount", "--", "sh", "-c", DISK_SCRIPT, "sh"])
                .arg(bytes.to_string())
                .arg(place),
        };
        Ok(Namespace {
            holder: Holder::spawn(command)?,
            has_disk: disk.is_some(),
        })
    }

    /// A command that runs `program` in `namespace`. It becomes the program
    /// itself, so the child's pid is the program's.
    pub(crate) fn command(
        &self,
        namespace: &Namespace,
        program: impl AsRef<OsStr>,
    ) -> Result<Command, LabError> {
        let mut command = self.nsenter(namespace.pid(), true)?;
        if namespace.has_disk {
            command.arg("--mount");
        }
        command.arg("--").arg(program);
        Ok(command)
    }

    /// A command that runs `program` in the hub, with the rights over all namespaces.
    pub(crate) fn command_here(&self, program: impl AsRef<OsStr>) -> Result<Command, LabError> {
        let mut command = self.nsenter(self.holder.pid, true)?;
        command.arg("--").arg(program);
        Ok(command)
    }

    /// Runs `ip` commands, one a line, in the hub; returns what `ip` printed.
    pub(crate) fn ip(&self, batch: &str) -> Result<String, LabError> {
        run_ip(self.nsenter(self.holder.pid, true)?, batch)
    }

    /// Runs `ip` commands, one a line, in `namespace`; returns what `ip` printed.
    pub(crate) fn ip_in(&self, namespace: &Namespace, batch: &str) -> Result<String, LabError> {
        run_ip(self.nsenter(namespace.pid(), true)?, batch)
    }

    /// The process `pid` dies with the hub from now on.
    pub(crate) fn adopt(&self, pid: u32) {
        self.holder.tell(&format!("+ {pid}\n"));
    }

    /// The process `pid` is about to be reaped: its number may mean another
    /// process soon, so it must not be killed any more.
    pub(crate) fn forget(&self, pid: u32) {
        self.holder.tell(&format!("- {pid}\n"));
    }

    /// Ends the hub: kills the adopted processes that remain.
    pub(crate) fn close(&self) {
        self.holder.close();
    }

    fn nsenter(&self, pid: u32, network: bool) -> Result<Command, LabError> {
        let mut command = Command::new(tool("nsenter")?);
        command.arg("--target").arg(pid.to_string());
        if self.user_namespace {
            // An unprivileged mapping forbids setgroups, so we stay who we are.
            command.args(["--user", "--preserve-credentials"]);
        }
        if network {
            command.arg("--net");
        }
        Ok(command)
    }
}

/// A node's namespace.
#[derive(Debug)]
pub(crate) struct Namespace {
    holder: Holder,
    /// Whether a disk is mounted that only those inside see.
    has_disk: bool,
}

impl Namespace {
    /// Pid of the process that holds the namespace open.
    pub(crate) fn pid(&self) -> u32 {
        self.holder.pid
    }
}

/// A process that waits on the pipe `input`.
#[derive(Debug)]
struct Holder {
    pid: u32,
    input: Mutex<Option<ChildStdin>>,
    child: Mutex<Child>,
}

impl Holder {
    fn spawn(mut command: Command) -> Result<Holder, LabError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| LabError::Tool { tool: name, source })?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            // An error reads as an empty line, reported just below.
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        if line.trim_end() != "held" {
            drop(child.stdin.take());
            let mut reason = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                let _ = stderr.read_to_string(&mut reason);
            }
            let _ = child.wait();
            return Err(LabError::Unavailable(match reason.lines().next() {
                Some(line) => line.to_owned(),
                None => "the namespace could not be made".to_owned(),
            }));
        }
        let input = child.stdin.take();
        Ok(Holder {
            pid: child.id(),
            input: Mutex::new(input),
            child: Mutex::new(child),
        })
    }

    fn tell(&self, line: &str) {
        if let Some(input) = lock(&self.input).as_mut() {
            // A dead holder has no list to keep.
            let _ = input.write_all(line.as_bytes());
        }
    }

    fn close(&self) {
        drop(lock(&self.input).take());
        let _ = lock(&self.child).wait();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.close();
    }
}

/// The full path of a tool, from `PATH` and the usual system directories.
pub(crate) fn tool(name: &str) -> Result<PathBuf, LabError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(EXTRA_TOOL_DIRS.iter().map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| is_program(candidate))
        .ok_or_else(|| LabError::Unavailable(format!("the tool `{name}` is not installed")))
}

/// Locks, also after a panic elsewhere: the guarded values are plain data that
/// is never left half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_program(path: &Path) -> bool {
    path.is_file()
}

fn one_line(error: &LabError) -> String {
    match error {
        LabError::Unavailable(reason) => reason.clone(),
        other => other.to_string().replace('\n', " "),
    }
}

fn run_ip(mut command: Command, batch: &str) -> Result<String, LabError> {
    command.arg("--").arg(tool("ip")?);
    command.args(["-details", "-oneline", "-batch", "-"]);
    run(command, "ip", batch)
}

/// Runs a command to its end with this on its standard input; returns what it printed.
pub(crate) fn run(mut command: Command, name: &str, input: &str) -> Result<String, LabError> {
    let failed = |source| LabError::Tool {
        tool: name.to_owned(),
        source,
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that stops at a bad command closes the pipe; its exit status below tells
        // more than the broken pipe.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr)
        .trim()
        .replace('\n', "; ");
    Err(LabError::Network {
        tool: name.to_owned(),
        stderr,
    })
}
