//! Running a case: a lab, a sync service in it, and the plan's program once an instance.

mod conductor;
mod instance;
mod interrupt;
mod network;
mod verdict;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant, SystemTime};

use lab::{Builder, Lab, LabError};

pub use conductor::FaultVerdict;
pub use interrupt::Interrupt;
pub use network::Network;
pub use verdict::{Ending, InstanceVerdict, Verdict};

use crate::composition::Members;
use crate::environment::{Environment, SYNC_PORT};
use crate::event::Line;
use crate::faults::Fault;
use crate::history::{self, HistoryError};
use crate::layout::{Family, Layout, Nat};
use crate::oracle;
use crate::params::ParamError;
use crate::sync;
use conductor::Stage;
use instance::Instance;
use interrupt::Note;

/// Nodes of a lab that are left for instances: one is the sync service's.
pub const MAX_INSTANCES: usize = 249;

/// How long the sync service may take to listen: reaching it is a failure.
const SYNC_PATIENCE: Duration = Duration::from_secs(30);

/// After an instance has failed, how long the others may go on: they wait for it in vain,
/// but what they write down meanwhile helps to see why.
const FAILURE_GRACE: Duration = Duration::from_secs(10);

/// A case to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The plan.
    pub plan: String,
    /// Its case.
    pub case: String,
    /// The instances, with all their parameters.
    pub groups: Vec<Members>,
    /// What chance is drawn from.
    pub seed: u64,
    /// How bad the network between them is.
    pub network: Network,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Whether packets go through the switch though nothing that is known yet needs it: instances
    /// may then ask for a network.
    pub switch: bool,
    /// Which LANs they are on.
    pub layout: Layout,
    /// Bytes of each instance's file system, where it is one of its own.
    pub disk: Option<u64>,
    /// When the instances are ended.
    pub limit: Duration,
    /// A folder of its own for results, which does not exist yet.
    pub out: PathBuf,
    /// The command that runs this again.
    pub command: String,
    /// What is run.
    pub programs: Programs,
}

/// Full paths of the programs of a run.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The plan's.
    pub plan: PathBuf,
    /// What the plan tests.
    pub hedgerow: PathBuf,
    /// This one.
    pub testground: PathBuf,
}

/// A case could not be run; nothing is said about what it tests.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The lab.
    #[error("the lab")]
    Lab(#[from] LabError),
    /// A file or folder of the results.
    #[error("{}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Parameters that no instance could be told.
    #[error("parameters")]
    Params(#[from] ParamError),
    /// More instances than a lab has nodes.
    #[error("{0} instances; a lab has nodes for {MAX_INSTANCES}")]
    TooMany(usize),
    /// A history that cannot be read.
    #[error("a history")]
    History(#[from] HistoryError),
}

/// The events that an instance printed, from its outputs.
pub(crate) fn lines_of_instance(outputs: &Path) -> Vec<Line> {
    instance::lines(&outputs.join(instance::OUT))
}

/// A name for a run that no other has.
pub fn new_run_id() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |time| time.as_secs());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{seconds:x}-{:x}-{count}", std::process::id())
}

/// Runs a case to its end, whatever it is, and leaves no process and no namespace.
///
/// # Errors
/// If it could not be run at all. That the case failed is a verdict.
pub fn run(job: &Job, interrupt: &Interrupt) -> Result<Verdict, RunError> {
    let total: usize = job.groups.iter().map(|group| group.count).sum();
    if total > MAX_INSTANCES {
        return Err(RunError::TooMany(total));
    }
    let notes = interrupt.listen();
    make_folder(&job.out)?;
    let started = SystemTime::now();
    let begin = Instant::now();
    let run = new_run_id();
    let mut builder = lans(
        Lab::builder().nodes(total + job.layout.helpers()),
        job.layout,
        total,
    );
    if let Some(bytes) = job.disk {
        builder = builder.disk(bytes);
    }
    let lab = job.network.build(builder, job).build()?;
    job.network.apply(&lab, total)?;
    // Where every instance reaches it: it is on all LANs, and their router.
    let any = match job.layout.family {
        Family::Ipv6 => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        Family::Both | Family::Ipv4 => IpAddr::from(Ipv4Addr::UNSPECIFIED),
    };
    let address = SocketAddr::from((any, SYNC_PORT));
    let socket = lab.logs().join("sync.sock");
    let mut service = lab.command(total, &job.programs.testground)?;
    service
        .args(["sync-service", "--listen", &address.to_string(), "--socket"])
        .arg(&socket)
        .process_group(0);
    let service = lab.spawn_command("sync-service", service)?;
    service.wait_line("readiness", SYNC_PATIENCE, |line| {
        line.starts_with("listening ")
    })?;

    let mut instances = Vec::with_capacity(total);
    for group in &job.groups {
        for _ in 0..group.count {
            let number = instances.len();
            let lan = job.layout.lan_of(number, total);
            let outputs = job.out.join(&group.id).join(number.to_string());
            make_folder(&outputs)?;
            let environment = Environment {
                plan: job.plan.clone(),
                case: job.case.clone(),
                run: run.clone(),
                instances: total,
                params: group.params.clone(),
                group: group.id.clone(),
                group_instances: group.count,
                sidecar: job.has_switch(),
                subnet: match job.layout.family {
                    Family::Ipv6 => lab.ipv6_net(lan),
                    Family::Both | Family::Ipv4 => lab.ipv4_net(lan),
                },
                outputs: outputs.to_string_lossy().into_owned(),
                temp: lab.home(number).to_string_lossy().into_owned(),
                start: humantime::format_rfc3339_seconds(started).to_string(),
                sync_host: match job.layout.family {
                    // A port is put behind it.
                    Family::Ipv6 => format!("[{}]", lab.ipv6(total, lan)),
                    Family::Both | Family::Ipv4 => lab.ipv4(total, lan).to_string(),
                },
                sync_port: SYNC_PORT,
                seed: job.seed,
                faults: job.faults.len(),
            };
            let command = command(&lab, number, job, &environment)?;
            let label = format!("{}-{number}", group.id);
            let process = lab.spawn_command(&label, command)?;
            instances.push(Instance::watch(
                number, &group.id, outputs, process, interrupt,
            ));
        }
    }
    let stage = Stage {
        lab: &lab,
        network: &job.network,
        instances: total,
        faults: &job.faults,
        shapes: job.has_switch(),
        socket: &socket,
        prefix: sync::prefix(&run, &job.plan, &job.case),
    };
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let (ended_by, conducted) = std::thread::scope(|scope| {
        let conductor = scope.spawn(|| conductor::conduct(&stage, stopped));
        let ended_by = wait(&mut instances, &notes, begin + job.limit);
        // One that has done all has nobody to tell.
        let _ = stop.send(());
        let conducted = conductor.join();
        (ended_by, conducted.expect("conducting does not panic"))
    });
    for instance in &instances {
        instance.keep_logs()?;
    }
    for (log, name) in [
        (service.stdout_log(), "sync-service.out"),
        (service.stderr_log(), "sync-service.err"),
    ] {
        let place = job.out.join(name);
        fs::copy(log, &place).map_err(file(&place))?;
    }
    let switch = match job.has_switch() {
        true => Some(lab.switch_stats()?),
        false => None,
    };
    drop(lab);

    let mut histories = Vec::new();
    for instance in &instances {
        histories.extend(history::read(instance.outputs(), instance.number())?);
    }
    let findings = (!histories.is_empty()).then(|| oracle::check(&histories));
    Ok(Verdict::new(
        job,
        run,
        started,
        begin.elapsed(),
        instances.iter().map(Instance::verdict).collect(),
        ended_by,
        findings,
        conducted,
        switch,
    ))
}

/// The lab's LANs, for so many instances and the sync service.
fn lans(builder: Builder, layout: Layout, instances: usize) -> Builder {
    let builder = match layout.family {
        Family::Both => builder,
        Family::Ipv4 => builder.ipv4_only(),
        Family::Ipv6 => builder.ipv6_only(),
    };
    if layout.lans == 1 {
        return builder.bridges(layout.interfaces);
    }
    // The sync service is on all LANs, and their router where no NAT hides them. Behind it in the
    // list are the NATs, each on the first LAN and the one it hides.
    let sync = instances;
    let builder = (0..layout.lans).fold(builder.bridges(layout.lans), |builder, lan| {
        let members = (0..instances).filter(|one| layout.lan_of(*one, instances) == lan);
        let nats =
            (1..layout.lans).filter(|hidden| layout.nat.is_some() && [0, *hidden].contains(&lan));
        builder.lan(
            lan,
            members
                .chain([sync])
                .chain(nats.map(|hidden| sync + hidden)),
        )
    });
    let Some(nat) = layout.nat else {
        return builder.router(sync);
    };
    let nat = match nat {
        Nat::Cone => lab::Nat::Cone,
        Nat::Symmetric => lab::Nat::Symmetric,
    };
    (1..layout.lans).fold(builder, |builder, hidden| {
        builder.nat(sync + hidden, 0, nat)
    })
}

/// Waits until all instances have ended, and ends them where they have to be.
fn wait(
    instances: &mut [Instance],
    notes: &std::sync::mpsc::Receiver<Note>,
    limit: Instant,
) -> Ending {
    let mut ending = Ending::ByItself;
    let mut deadline = limit;
    let mut running = instances.len();
    while running > 0 {
        let left = deadline.saturating_duration_since(Instant::now());
        match notes.recv_timeout(left) {
            Ok(Note::Ended(number, status)) => {
                running -= 1;
                let instance = &mut instances[number];
                instance.ended(status, ending);
                if !instance.succeeded() && ending == Ending::ByItself {
                    ending = Ending::Failure;
                    deadline = deadline.min(Instant::now() + FAILURE_GRACE);
                }
            }
            Ok(Note::Interrupted) => {
                ending = Ending::Interrupted;
                kill(instances);
            }
            Err(RecvTimeoutError::Timeout) => {
                // A second time only if the kernel takes longer than it should to end them.
                if ending == Ending::ByItself {
                    ending = Ending::Limit;
                }
                kill(instances);
                deadline = Instant::now() + FAILURE_GRACE;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    ending
}

fn kill(instances: &[Instance]) {
    for instance in instances {
        instance.kill();
    }
}

/// What an instance's machine is called, to itself.
fn hostname(instance: usize) -> String {
    format!("instance-{instance}")
}

/// The plan's program in a node's namespace, and in namespaces of its own for processes, so that with
/// the instance ends whatever it has started, however it ends, and for the host's name.
fn command(
    lab: &Lab,
    node: usize,
    job: &Job,
    environment: &Environment,
) -> Result<Command, RunError> {
    let mut command = lab.command(node, "unshare")?;
    command
        .args([
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--uts",
            "--",
        ])
        .arg(&job.programs.testground)
        .args(["instance", &hostname(node)])
        .arg(&job.programs.plan);
    // What is set outside is for nodes outside.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("HEDGEROW_") || text.starts_with("TEST_") {
            command.env_remove(name);
        }
    }
    command
        .envs(environment.variables()?)
        .env("HEDGEROW", &job.programs.hedgerow)
        .current_dir(&environment.outputs)
        // Ctrl-C in the terminal is for the runner, which then ends the instances.
        .process_group(0);
    Ok(command)
}

fn make_folder(path: &Path) -> Result<(), RunError> {
    fs::create_dir_all(path).map_err(file(path))
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> RunError {
    let path = path.to_owned();
    move |source| RunError::File { path, source }
}
