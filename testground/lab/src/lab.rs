//! The lab itself: nodes, their links and their lives.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::builder::{Builder, Program};
use crate::namespace::{Hub, Namespace, lock, run, tool};
use crate::network::{self, Plan};
use crate::process::Process;
use crate::switch::{self, Rule, Switch, SwitchStats, Uplink};
use crate::topology::{Router, Topology};
use crate::wires::{Socket, Wires};
use crate::{LabError, Traffic, Usage};

/// How long a node may take to end after SIGTERM in [`Lab::stop`].
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How long a link may take to pass packets after it was turned on: the kernel
/// handles such changes once a second at the latest.
const LINK_PATIENCE: Duration = Duration::from_secs(5);

/// How often to look whether a link passes packets.
const LINK_LOOK: Duration = Duration::from_millis(5);

/// Lines of each log printed when a test panics.
const PANIC_TAIL_LINES: usize = 40;

/// Set to anything, keeps homes and logs when a lab is dropped.
const KEEP_VARIABLE: &str = "LAB_KEEP";

/// Set to anything, turns a skipped test into a failed one.
const REQUIRED_VARIABLE: &str = "LAB_REQUIRED";

/// N nodes in network namespaces of their own on one or more bridges.
///
/// Nodes are numbered from 0, and so are bridges. A number out of range is a
/// mistake in the test and panics. All methods may be called from any thread.
#[derive(Debug)]
pub struct Lab {
    nodes: Vec<Node>,
    others: Mutex<Vec<Arc<Process>>>,
    topology: Topology,
    plan: Plan,
    program: Option<Program>,
    ready_line: String,
    wires: Wires,
    // Last, so that the namespaces of the nodes go first.
    hub: Arc<Hub>,
    directory: Option<TempDir>,
    root: PathBuf,
}

#[derive(Debug)]
struct Node {
    namespace: Namespace,
    home: PathBuf,
    process: Mutex<Option<Arc<Process>>>,
}

impl Lab {
    /// Describes a lab to be built.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Why no lab can run on this machine, in one line; `None` if one can.
    ///
    /// Tried once, by making the smallest network there is.
    pub fn unavailable() -> Option<String> {
        static REASON: OnceLock<Option<String>> = OnceLock::new();
        REASON
            .get_or_init(|| match Lab::builder().nodes(1).build() {
                Ok(_) => None,
                Err(LabError::Unavailable(reason)) => Some(reason),
                Err(error) => Some(error.to_string().replace('\n', " ")),
            })
            .clone()
    }

    /// For the first line of a test: whether a lab can run here. If not, says
    /// why in one line on standard error, or panics where `LAB_REQUIRED` is
    /// set, so that nothing is skipped silently where it matters.
    pub fn available_or_skip(test: &str) -> bool {
        let Some(reason) = Lab::unavailable() else {
            return true;
        };
        assert!(
            std::env::var_os(REQUIRED_VARIABLE).is_none(),
            "{test} needs the lab ({REQUIRED_VARIABLE} is set): {reason}"
        );
        eprintln!("skipped: {test}: {reason}");
        false
    }

    pub(crate) fn build(builder: Builder) -> Result<Lab, LabError> {
        tool("ip")?;
        let directory = tempfile::Builder::new()
            .prefix("lab-")
            .tempdir()
            .map_err(|source| LabError::file("make the lab's directory", source))?;
        let root = directory.path().to_owned();
        let logs = root.join("logs");
        make_directory(&logs)?;
        let hub = Arc::new(Hub::new()?);
        let wires = match builder.switched {
            None => Wires::bridges(&hub, builder.plan, builder.bridges)?,
            Some(seed) => {
                let (program, args) = match builder.switch_program.clone() {
                    Some(given) => given,
                    None => (switch::program()?, Vec::new()),
                };
                let mut command = hub.command_here(program)?;
                command.args(args);
                Wires::Switch(Switch::start(&hub, command, seed, &logs)?)
            }
        };
        let topology = builder.topology();
        let mut sockets = Vec::new();
        let mut nodes = Vec::with_capacity(builder.nodes);
        for index in 0..builder.nodes {
            let home = root.join(format!("home-{index}"));
            make_directory(&home)?;
            let disk = builder.disk.map(|bytes| (home.as_path(), bytes));
            let namespace = hub.namespace(disk)?;
            sockets.extend(topology.bridges_of(index).map(|bridge| Socket {
                node: index,
                bridge,
                pid: namespace.pid(),
            }));
            nodes.push(Node {
                namespace,
                home,
                process: Mutex::new(None),
            });
        }
        wires.plug(&hub, &sockets)?;
        for (index, node) in nodes.iter().enumerate() {
            let mut batch = "link set lo up\n".to_owned();
            for bridge in topology.bridges_of(index) {
                batch += &builder.plan.up(index, bridge);
                batch += &topology.route_commands(index, bridge, builder.plan.family);
            }
            hub.ip_in(&node.namespace, &batch)?;
        }
        let lab = Lab {
            nodes,
            others: Mutex::default(),
            topology,
            wires,
            plan: builder.plan,
            program: builder.program,
            ready_line: builder.ready_line,
            hub,
            directory: Some(directory),
            root,
        };
        for node in 0..lab.len() {
            for bridge in lab.topology.bridges_of(node) {
                lab.settle(node, bridge)?;
            }
        }
        for router in &lab.topology.routers {
            lab.forward(router)?;
        }
        Ok(lab)
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a lab has at least one node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Number of bridges.
    pub fn bridges(&self) -> usize {
        self.topology.lans.len()
    }

    /// The node's home directory, which stays the same over restarts.
    pub fn home(&self, node: usize) -> &Path {
        &self.nodes[node].home
    }

    /// The directory of all logs, `node-I.out.log` and `node-I.err.log`.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The node's IPv4 address on a bridge.
    pub fn ipv4(&self, node: usize, bridge: usize) -> Ipv4Addr {
        network::ipv4(node, bridge)
    }

    /// The node's unique local IPv6 address on a bridge.
    pub fn ipv6(&self, node: usize, bridge: usize) -> Ipv6Addr {
        network::ipv6(node, bridge)
    }

    /// All IPv4 addresses of a bridge, as in `10.77.0.0/24`.
    pub fn ipv4_net(&self, bridge: usize) -> String {
        network::ipv4_net(bridge)
    }

    /// All unique local IPv6 addresses of a bridge, as in `fd77::/64`.
    pub fn ipv6_net(&self, bridge: usize) -> String {
        network::ipv6_net(bridge)
    }

    /// The node's link-local IPv6 address on a bridge, where the lab gave it
    /// (with duplicate address detection the kernel chooses).
    pub fn link_local(&self, node: usize, bridge: usize) -> Ipv6Addr {
        network::link_local(node, bridge)
    }

    /// Starts the node's program.
    pub fn start(&self, node: usize) -> Result<Arc<Process>, LabError> {
        self.start_with(node, &[])
    }

    /// Starts the node's program with more arguments at the end.
    pub fn start_with(&self, node: usize, more: &[&str]) -> Result<Arc<Process>, LabError> {
        let Some(program) = &self.program else {
            return Err(LabError::Invalid(
                "the lab was built without a binary".to_owned(),
            ));
        };
        let mut process = lock(&self.nodes[node].process);
        if process
            .as_ref()
            .is_some_and(|process| process.status().is_none())
        {
            return Err(LabError::AlreadyRunning(node));
        }
        let mut command = self.command(node, &program.binary)?;
        command.args(program.args_for(|arg| self.fill(node, arg)));
        command.args(more.iter().map(|arg| self.fill(node, arg)));
        command.envs(
            program
                .env
                .iter()
                .map(|(name, value)| (name, self.fill(node, value))),
        );
        let label = format!("node-{node}");
        let started = Arc::new(Process::spawn(&self.hub, command, &label, &self.logs())?);
        *process = Some(Arc::clone(&started));
        Ok(started)
    }

    /// Starts the program on every node.
    pub fn start_all(&self) -> Result<(), LabError> {
        (0..self.len()).try_for_each(|node| self.start(node).map(drop))
    }

    /// Waits until the node has printed its readiness line.
    pub fn wait_ready(&self, node: usize, within: Duration) -> Result<(), LabError> {
        self.process(node)?
            .wait_line("readiness", within, |line| line == self.ready_line)
            .map(drop)
    }

    /// The node's process, running or ended.
    pub fn process(&self, node: usize) -> Result<Arc<Process>, LabError> {
        lock(&self.nodes[node].process)
            .clone()
            .ok_or(LabError::NotRunning(node))
    }

    /// SIGKILL to the node; returns when it is gone.
    pub fn kill(&self, node: usize) -> Result<ExitStatus, LabError> {
        self.process(node)?.kill()
    }

    /// SIGTERM to the node; returns when it has ended, at most 10 s later.
    pub fn stop(&self, node: usize) -> Result<ExitStatus, LabError> {
        self.process(node)?.terminate(STOP_PATIENCE)
    }

    /// Stops the node (SIGTERM) and starts it again in the same home.
    pub fn restart(&self, node: usize) -> Result<Arc<Process>, LabError> {
        self.stop(node)?;
        self.start(node)
    }

    /// A command that runs `program` in the node's namespace; arguments and
    /// redirections are the caller's.
    pub fn command(&self, node: usize, program: impl AsRef<OsStr>) -> Result<Command, LabError> {
        self.hub.command(&self.nodes[node].namespace, program)
    }

    /// Runs a program in the node's namespace to its end and collects what it
    /// printed.
    pub fn output<S: AsRef<OsStr>>(
        &self,
        node: usize,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Output, LabError> {
        let name = program.as_ref().to_string_lossy().into_owned();
        self.command(node, program)?
            .args(args)
            .output()
            .map_err(|source| LabError::Tool { tool: name, source })
    }

    /// Starts another program in the node's namespace, which runs until it
    /// ends or the lab does. `label` names its logs.
    pub fn spawn<S: AsRef<OsStr>>(
        &self,
        node: usize,
        label: &str,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Arc<Process>, LabError> {
        let mut command = self.command(node, program)?;
        command.args(args);
        self.spawn_command(label, command)
    }

    /// As [`Lab::spawn`], for a command made with [`Lab::command`].
    pub fn spawn_command(&self, label: &str, command: Command) -> Result<Arc<Process>, LabError> {
        let process = Arc::new(Process::spawn(&self.hub, command, label, &self.logs())?);
        lock(&self.others).push(Arc::clone(&process));
        Ok(process)
    }

    /// The node's interface goes down.
    pub fn link_down(&self, node: usize, bridge: usize) -> Result<(), LabError> {
        self.hub
            .ip_in(&self.nodes[node].namespace, &self.plan.down(bridge))
            .map(drop)
    }

    /// The node's interface comes up again, with its addresses. Returns when
    /// packets pass it.
    pub fn link_up(&self, node: usize, bridge: usize) -> Result<(), LabError> {
        let mut batch = self.plan.up(node, bridge);
        batch += &self.topology.route_commands(node, bridge, self.plan.family);
        self.hub.ip_in(&self.nodes[node].namespace, &batch)?;
        self.settle(node, bridge)
    }

    /// A new interface appears in the node.
    pub fn plug(&self, node: usize, bridge: usize) -> Result<(), LabError> {
        let pid = self.nodes[node].namespace.pid();
        self.wires
            .plug(&self.hub, &[Socket { node, bridge, pid }])?;
        self.link_up(node, bridge)
    }

    /// The node's interface vanishes.
    pub fn unplug(&self, node: usize, bridge: usize) -> Result<(), LabError> {
        self.wires.unplug(&self.hub, node, bridge)
    }

    /// Cuts the node off a bridge. Its interface stays up and notices nothing,
    /// as when a switch further away fails.
    pub fn detach(&self, node: usize, bridge: usize) -> Result<(), LabError> {
        self.wires.connect(&self.hub, &[node], bridge, None)
    }

    /// Joins a detached node to the bridge again.
    pub fn attach(&self, node: usize, bridge: usize) -> Result<(), LabError> {
        self.wires.connect(&self.hub, &[node], bridge, Some(0))
    }

    /// Splits a bridge: nodes of one group hear each other and no one else.
    /// Nodes in no group stay together on the bridge itself.
    pub fn partition(&self, bridge: usize, groups: &[&[usize]]) -> Result<(), LabError> {
        groups.iter().enumerate().try_for_each(|(index, group)| {
            self.wires
                .connect(&self.hub, group, bridge, Some(index + 1))
        })
    }

    /// Ends a partition: all nodes are on the bridge itself again.
    pub fn heal(&self, bridge: usize) -> Result<(), LabError> {
        (0..self.len()).try_for_each(|node| self.attach(node, bridge))
    }

    /// How frames fare between nodes from now on, in place of what was said before: the
    /// last rule that fits a path counts, and a path that none fits is perfect.
    ///
    /// # Errors
    ///
    /// Where the lab is not [switched](Builder::switched), or a shape cannot be.
    pub fn shape(&self, rules: impl IntoIterator<Item = Rule>) -> Result<(), LabError> {
        let rules: Vec<Rule> = rules.into_iter().collect();
        let named = rules.iter().flat_map(Rule::nodes);
        if let Some(node) = named.into_iter().find(|node| *node >= self.len()) {
            return Err(LabError::Invalid(format!(
                "a rule for node {node}: they are 0 to {}",
                self.len() - 1
            )));
        }
        let lan = rules.iter().filter_map(|rule| rule.lan);
        if let Some(lan) = lan.into_iter().find(|lan| *lan >= self.bridges()) {
            return Err(LabError::Invalid(format!(
                "a rule for LAN {lan}: they are 0 to {}",
                self.bridges() - 1
            )));
        }
        self.wires.shape(rules)
    }

    /// How fast a node's interface is from now on, over all paths.
    ///
    /// # Errors
    ///
    /// As for [`Lab::shape`].
    pub fn set_uplink(&self, node: usize, bridge: usize, uplink: Uplink) -> Result<(), LabError> {
        self.wires.set_uplink(node, bridge, uplink)
    }

    /// Process id of the switch, in a [switched](Builder::switched) lab.
    pub fn switch_pid(&self) -> Option<u32> {
        self.wires.switch_pid()
    }

    /// What has passed the switch, and whether it kept up.
    ///
    /// # Errors
    ///
    /// Where the lab is not [switched](Builder::switched).
    pub fn switch_stats(&self) -> Result<SwitchStats, LabError> {
        let mut stats = self.wires.stats()?;
        let all = (0..self.len()).flat_map(|node| (0..self.bridges()).map(move |b| (node, b)));
        // What a node could not send was dropped between the kernel and the switch.
        stats.unread = all
            .map(|(node, b)| self.traffic(node, b).sent_dropped)
            .sum();
        Ok(stats)
    }

    /// What the node's process uses now.
    pub fn usage(&self, node: usize) -> Result<Usage, LabError> {
        self.process(node)?
            .usage()
            .ok_or(LabError::NotRunning(node))
    }

    /// What has passed the node's interface on a bridge; all zero when it is
    /// not plugged in.
    pub fn traffic(&self, node: usize, bridge: usize) -> Traffic {
        let pid = self.nodes[node].namespace.pid();
        Traffic::of(pid, &network::interface(bridge)).unwrap_or_default()
    }

    /// Waits until packets pass a link that has just come up. The kernel turns
    /// a link on in the background, and drops what is sent before; it tells no
    /// one that has not asked beforehand, so we look.
    fn settle(&self, node: usize, bridge: usize) -> Result<(), LabError> {
        let namespace = &self.nodes[node].namespace;
        let deadline = Instant::now() + LINK_PATIENCE;
        while !(self.wires.passes(&self.hub, node, bridge)?
            && network::interface_is_up(
                &self
                    .hub
                    .ip_in(namespace, &self.plan.show_interface(bridge))?,
            ))
        {
            if Instant::now() > deadline {
                return Err(LabError::Invalid(format!(
                    "the link of node {node} to bridge {bridge} does not come up"
                )));
            }
            std::thread::park_timeout(LINK_LOOK);
        }
        Ok(())
    }

    /// Makes a node pass packets on.
    fn forward(&self, router: &Router) -> Result<(), LabError> {
        let mut shell = self.command(router.node, "sh")?;
        shell.args(["-c", Router::forwarding()]);
        run(shell, "sh", "")?;
        if let Some(rules) = router.nat_rules() {
            let mut nft = self.command(router.node, tool("nft")?)?;
            nft.args(["-f", "-"]);
            run(nft, "nft", &rules)?;
        }
        Ok(())
    }

    fn fill(&self, node: usize, text: &str) -> String {
        text.replace("{home}", &self.home(node).to_string_lossy())
            .replace("{index}", &node.to_string())
            .replace("{ipv4}", &self.ipv4(node, 0).to_string())
            .replace("{ipv6}", &self.ipv6(node, 0).to_string())
    }

    fn processes(&self) -> Vec<Arc<Process>> {
        let nodes = self
            .nodes
            .iter()
            .filter_map(|node| lock(&node.process).clone());
        nodes.chain(lock(&self.others).iter().cloned()).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let processes = self.processes();
        for process in &processes {
            let _ = process.signal(nix::sys::signal::Signal::SIGKILL);
        }
        for process in &processes {
            // One that does not go is the hub's to kill, just below.
            let _ = process.kill();
        }
        self.hub.close();
        if std::thread::panicking() {
            for process in &processes {
                eprint!("{}", process.tail(PANIC_TAIL_LINES));
            }
        }
        if std::env::var_os(KEEP_VARIABLE).is_some()
            && let Some(directory) = self.directory.take()
        {
            eprintln!("kept: {}", directory.keep().display());
        }
    }
}

fn make_directory(path: &Path) -> Result<(), LabError> {
    std::fs::create_dir(path)
        .map_err(|source| LabError::file(format!("make {}", path.display()), source))
}
