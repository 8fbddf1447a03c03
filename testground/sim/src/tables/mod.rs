//! The papers' tables and figures, one command each (S14).

mod bad_nodes;
mod churn;
mod distribution;
mod failures;
mod growth;
mod healing;
mod hops;
mod join_cost;
mod load;
mod objects;
mod objects_failures;
mod quality;
mod replicas;
mod size;
mod stretch;
mod webcache;

use rayon::prelude::*;
use thiserror::Error;

use crate::formation::NeverJoined;
use crate::network::NetworkError;
use crate::report::{Progress, Reading, Table, collate};
use crate::scenario::{RunError, ScenarioError};
use crate::webcache::LogError;

pub use growth::Growths;
pub use webcache::of_log;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    /// Average hops by size.
    Hops,
    /// The share of each number of hops.
    Distribution,
    /// Route distance against direct distance and against complete tables.
    Stretch,
    /// How many table entries are the nearest there are.
    Quality,
    /// How often a message ends at the nearest of several replicas.
    Replicas,
    /// Messages a join causes.
    JoinCost,
    /// A tenth of all nodes fails at once.
    Failures,
    /// Nodes coming and going, for as long as in Gnutella.
    Churn,
    /// Nodes coming and going, for shorter and longer.
    ChurnSessions,
    /// Networks that become whole again.
    Healing,
    /// Lookups among nodes that do not keep to the rules.
    BadNodes,
    /// The way to objects' nearest holders, and what extra pointers bring.
    Objects,
    /// Messages to nodes and objects while nodes die and join.
    ObjectsFailures,
    /// Keys, pointers and messages forwarded, a host.
    Load,
    /// The shared web cache on the paper's traces.
    Webcache,
    /// Time and memory of the simulator.
    Size,
}

impl Name {
    /// All of them, in the order in which `sim all` makes them.
    pub const ALL: [Name; 16] = [
        Name::Hops,
        Name::Distribution,
        Name::Stretch,
        Name::Quality,
        Name::Replicas,
        Name::JoinCost,
        Name::Failures,
        Name::Churn,
        Name::ChurnSessions,
        Name::Healing,
        Name::BadNodes,
        Name::Objects,
        Name::ObjectsFailures,
        Name::Load,
        Name::Webcache,
        Name::Size,
    ];

    /// Its name on the command line.
    pub fn text(self) -> &'static str {
        match self {
            Name::Hops => "hops",
            Name::Distribution => "distribution",
            Name::Stretch => "stretch",
            Name::Quality => "quality",
            Name::Replicas => "replicas",
            Name::JoinCost => "join-cost",
            Name::Failures => "failures",
            Name::Churn => "churn",
            Name::ChurnSessions => "churn-sessions",
            Name::Healing => "healing",
            Name::BadNodes => "bad-nodes",
            Name::Objects => "objects",
            Name::ObjectsFailures => "objects-failures",
            Name::Load => "load",
            Name::Webcache => "webcache",
            Name::Size => "size",
        }
    }
}

/// How large and how often.
#[derive(Clone, Debug)]
pub struct Options {
    /// One run each.
    pub seeds: Vec<u64>,
    /// Small networks, for tests.
    pub quick: bool,
    /// No network larger than this.
    pub most_nodes: usize,
    /// Whether to show how far it is.
    pub progress: bool,
    /// Networks that grew for one table and serve another.
    pub growths: Growths,
}

impl Options {
    /// The whole tables, or small ones.
    pub fn new(seeds: Vec<u64>, quick: bool) -> Options {
        Options {
            seeds,
            quick,
            most_nodes: 100_000,
            progress: false,
            growths: Growths::default(),
        }
    }

    fn bar(&self, what: &str, steps: usize) -> Progress {
        if self.progress {
            Progress::new(what, (steps * self.seeds.len()) as u64)
        } else {
            Progress::hidden()
        }
    }

    /// Every seed's readings, on all cores.
    fn each_seed(
        &self,
        measure: impl Fn(u64) -> Result<Vec<Reading>, TableError> + Sync,
    ) -> Result<Vec<Vec<Reading>>, TableError> {
        self.seeds.par_iter().map(|seed| measure(*seed)).collect()
    }

    fn command(&self, name: Name) -> String {
        let mut command = format!("sim table {}", name.text());
        if self.quick {
            command.push_str(" --quick");
        }
        if self.most_nodes != 100_000 {
            command.push_str(&format!(" --most-nodes {}", self.most_nodes));
        }
        let seeds: Vec<String> = self.seeds.iter().map(u64::to_string).collect();
        format!("{command} --seeds {}", seeds.join(","))
    }
}

/// A table could not be made.
#[derive(Debug, Error)]
pub enum TableError {
    /// A node did not join.
    #[error("seed {seed}: {source}")]
    Join {
        /// In which run.
        seed: u64,
        /// Which node.
        source: NeverJoined,
    },
    /// The network's shape is impossible.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// An access log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A scenario of the table is refused.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A scenario of the table failed.
    #[error("seed {seed}: {source}")]
    Run {
        /// In which run.
        seed: u64,
        /// Why.
        source: RunError,
    },
    /// Lookups did not end as they must.
    #[error("seed {seed}, {nodes} nodes: {what}")]
    Lookups {
        /// In which run.
        seed: u64,
        /// How large the network was.
        nodes: usize,
        /// What is wrong.
        what: String,
    },
}

/// Makes a table.
///
/// # Errors
/// When a run fails; the text names its seed.
pub fn make(name: Name, options: &Options) -> Result<Table, TableError> {
    let made = match name {
        Name::Hops => hops::make(options),
        Name::Distribution => distribution::make(options),
        Name::Stretch => stretch::make(options),
        Name::Quality => quality::make(options),
        Name::Replicas => replicas::make(options),
        Name::JoinCost => join_cost::make(options),
        Name::Failures => failures::make(options),
        Name::Churn => churn::gnutella(options),
        Name::ChurnSessions => churn::sessions(options),
        Name::Healing => healing::make(options),
        Name::BadNodes => bad_nodes::make(options),
        Name::Objects => objects::make(options),
        Name::ObjectsFailures => objects_failures::make(options),
        Name::Load => load::make(options),
        Name::Webcache => webcache::make(options),
        Name::Size => size::make(options),
    };
    let Made {
        title,
        setup,
        axis,
        readings,
    } = made?;
    Ok(Table {
        name: name.text(),
        title,
        setup,
        axis,
        seeds: options.seeds.clone(),
        figures: collate(readings),
        command: options.command(name),
    })
}

/// What a table's own file brings.
struct Made {
    title: String,
    setup: String,
    axis: &'static str,
    readings: Vec<Vec<Reading>>,
}
