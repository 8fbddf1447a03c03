//! What a lab shall look like, before it is made.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::network::{Family, MAX_BRIDGES, MAX_NODES, Plan};
use crate::topology::{Nat, Router, Topology};
use crate::{Lab, LabError};

/// The line that says that a node is ready, as `sd_notify` spells it.
const READY_LINE: &str = "READY=1";

/// Describes a [`Lab`]: how many nodes, on which bridges, which program.
///
/// In the arguments and environment values `{home}`, `{index}`, `{ipv4}` and
/// `{ipv6}` stand for the node's home directory, its number, and its addresses
/// on the first bridge.
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) nodes: usize,
    pub(crate) bridges: usize,
    pub(crate) plan: Plan,
    pub(crate) program: Option<Program>,
    pub(crate) ready_line: String,
    pub(crate) unplugged: Vec<usize>,
    pub(crate) disk: Option<u64>,
    pub(crate) switched: Option<u64>,
    pub(crate) switch_program: Option<(PathBuf, Vec<String>)>,
    pub(crate) members: BTreeMap<usize, Vec<usize>>,
    pub(crate) routers: Vec<Router>,
}

/// The program that `start` starts on a node.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            nodes: 2,
            bridges: 1,
            plan: Plan {
                family: Family::Dual,
                dad: false,
            },
            program: None,
            ready_line: READY_LINE.to_owned(),
            unplugged: Vec::new(),
            disk: None,
            switched: None,
            switch_program: None,
            members: BTreeMap::new(),
            routers: Vec::new(),
        }
    }
}

impl Builder {
    /// Number of nodes, 1 to 250; 2 unless set.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// Number of bridges, 1 to 8, each of which gives every node an interface;
    /// 1 unless set.
    pub fn bridges(mut self, bridges: usize) -> Self {
        self.bridges = bridges;
        self
    }

    /// Which addresses the nodes get; both families unless set.
    pub fn family(mut self, family: Family) -> Self {
        self.plan.family = family;
        self
    }

    /// IPv4 and nothing else.
    pub fn ipv4_only(self) -> Self {
        self.family(Family::Ipv4)
    }

    /// IPv6 and nothing else.
    pub fn ipv6_only(self) -> Self {
        self.family(Family::Ipv6)
    }

    /// Leaves IPv6 duplicate address detection on, so that addresses are
    /// tentative for a second or two when a link comes up, as on real machines.
    pub fn with_duplicate_address_detection(mut self) -> Self {
        self.plan.dad = true;
        self
    }

    /// Nodes are not plugged into this bridge at first (see [`Lab::plug`]).
    pub fn unplugged(mut self, bridge: usize) -> Self {
        self.unplugged.push(bridge);
        self
    }

    /// Only these nodes are on this bridge, which is a LAN of its own.
    pub fn lan(mut self, bridge: usize, nodes: impl IntoIterator<Item = usize>) -> Self {
        self.members.insert(bridge, nodes.into_iter().collect());
        self
    }

    /// This node passes packets on between the LANs that it is on, and everybody on them knows
    /// the way. There is no default route: nobody knows more LANs than there are.
    pub fn router(mut self, node: usize) -> Self {
        self.routers.push(Router { node, nat: None });
        self
    }

    /// As [`Builder::router`], but on the LAN `outside` everything comes from the router's own
    /// address, and nothing gets in that was not asked for. Needs `nft` (nftables).
    pub fn nat(mut self, node: usize, outside: usize, nat: Nat) -> Self {
        self.routers.push(Router {
            node,
            nat: Some((nat, outside)),
        });
        self
    }

    /// Each home is a disk of its own of so many bytes, in memory, which can be full. Only
    /// what runs in the node's namespace sees what is in it.
    pub fn disk(mut self, bytes: u64) -> Self {
        self.disk = Some(bytes);
        self
    }

    /// The nodes are joined by a switch in user space instead of the kernel's bridges, so
    /// that paths may be slow and lose things ([`Lab::shape`]). `seed` decides which.
    ///
    /// Its program, `lab-switch`, is looked for beside the running one; see also
    /// [`Builder::switch_program`].
    pub fn switched(mut self, seed: u64) -> Self {
        self.switched = Some(seed);
        self
    }

    /// The program that calls [`switch`](crate::switch) with the seed, which is its last argument:
    /// for programs that are their own switch.
    pub fn switch_program<S: Into<String>>(
        mut self,
        path: impl Into<PathBuf>,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        self.switch_program = Some((path.into(), args));
        self
    }

    /// The program of the nodes.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.program_mut().binary = path.into();
        self
    }

    /// Adds an argument of the program.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.program_mut().args.push(arg.into());
        self
    }

    /// Adds arguments of the program.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.program_mut()
            .args
            .extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable in the program's environment.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.program_mut().env.push((name.into(), value.into()));
        self
    }

    /// The line of standard output that says that a node is ready; `READY=1`
    /// unless set.
    pub fn ready_line(mut self, line: impl Into<String>) -> Self {
        self.ready_line = line.into();
        self
    }

    /// Makes the network; starts no node yet.
    pub fn build(self) -> Result<Lab, LabError> {
        if self.nodes == 0 || self.nodes > MAX_NODES {
            return Err(LabError::Invalid(format!(
                "{} nodes; 1 to {MAX_NODES}",
                self.nodes
            )));
        }
        if self.bridges == 0 || self.bridges > MAX_BRIDGES {
            return Err(LabError::Invalid(format!(
                "{} bridges; 1 to {MAX_BRIDGES}",
                self.bridges
            )));
        }
        let (nodes, bridges) = (self.nodes, self.bridges);
        let named = self
            .members
            .iter()
            .flat_map(|(lan, nodes)| nodes.iter().map(|node| (*lan, *node)));
        let routers = self.routers.iter().map(|router| {
            let outside = router.nat.map_or(0, |(_, outside)| outside);
            (outside, router.node)
        });
        if let Some((lan, node)) = named
            .chain(routers)
            .find(|(lan, node)| *lan >= bridges || *node >= nodes)
        {
            return Err(LabError::Invalid(format!(
                "node {node} on bridge {lan}: there are {nodes} nodes and {bridges} bridges, from 0"
            )));
        }
        Lab::build(self)
    }

    /// Who is on which bridge at first.
    pub(crate) fn topology(&self) -> Topology {
        let lan = |bridge: usize| match self.members.get(&bridge) {
            _ if self.unplugged.contains(&bridge) => Default::default(),
            Some(nodes) => nodes.iter().copied().collect(),
            None => (0..self.nodes).collect(),
        };
        Topology {
            lans: (0..self.bridges).map(lan).collect(),
            routers: self.routers.clone(),
        }
    }

    fn program_mut(&mut self) -> &mut Program {
        self.program.get_or_insert_with(|| Program {
            binary: PathBuf::new(),
            args: Vec::new(),
            env: Vec::new(),
        })
    }
}

impl Program {
    /// The arguments for one node, each `{name}` in them replaced by what it stands for there.
    pub(crate) fn args_for(&self, fill: impl Fn(&str) -> String) -> Vec<OsString> {
        self.args.iter().map(|arg| fill(arg).into()).collect()
    }
}
