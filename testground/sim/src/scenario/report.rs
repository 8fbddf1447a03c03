//! What a scenario brought.

use std::fmt;

use serde::Serialize;

/// A run's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scenario's.
    pub title: String,
    /// Decided it.
    pub seed: u64,
    /// Active at the end.
    pub nodes: usize,
    /// Nodes that started, and that died or left, after the network had formed.
    pub started: usize,
    /// Nodes that died or left.
    pub gone: usize,
    /// Lookups whose end is known or overdue.
    pub lookups: usize,
    /// Share of lookups that no node delivered.
    pub lost: f64,
    /// Share of lookups that a node delivered which was not the closest.
    pub wrong: f64,
    /// Messages to objects whose end is known or overdue.
    pub errands: usize,
    /// Share of them that reached no holder.
    pub errands_lost: f64,
    /// Hops on average.
    pub hops: f64,
    /// Time on the way over the direct way's, by sums.
    pub stretch: f64,
    /// Messages a second and node but lookups, by kind.
    pub control: Vec<(&'static str, f64)>,
    /// All of them.
    pub control_all: f64,
    /// Seconds from the end of the faults until everything held again.
    pub whole_after: Option<f64>,
    /// The longest that a watched key had two owners after the faults, in seconds.
    pub two_owners: f64,
    /// What did not hold.
    pub violations: Vec<String>,
    /// Stands for the run.
    pub digest: String,
}

impl Report {
    /// Whether everything held, in the end.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.whole_after.is_some()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {} (seed {})\n", self.title, self.seed)?;
        writeln!(f, "| figure | value |\n|---|---:|")?;
        writeln!(f, "| active nodes | {} |", self.nodes)?;
        writeln!(f, "| started, gone | {}, {} |", self.started, self.gone)?;
        writeln!(f, "| lookups | {} |", self.lookups)?;
        writeln!(f, "| lost | {:.2e} |", self.lost)?;
        writeln!(f, "| delivered at a wrong node | {:.2e} |", self.wrong)?;
        if self.errands > 0 {
            writeln!(f, "| messages to objects | {} |", self.errands)?;
            writeln!(f, "| of these lost | {:.2e} |", self.errands_lost)?;
        }
        writeln!(f, "| hops | {:.3} |", self.hops)?;
        writeln!(f, "| delay stretch | {:.3} |", self.stretch)?;
        writeln!(
            f,
            "| control messages a second and node | {:.3} |",
            self.control_all
        )?;
        for (kind, rate) in &self.control {
            writeln!(f, "| of these {kind} | {rate:.3} |")?;
        }
        match self.whole_after {
            Some(seconds) => writeln!(f, "| whole after | {seconds:.1} s |")?,
            None => writeln!(f, "| whole after | not in time |")?,
        }
        writeln!(f, "| a key had two owners | {:.1} s |", self.two_owners)?;
        writeln!(f, "| digest | {} |", self.digest)?;
        for violation in &self.violations {
            writeln!(f, "\nviolated {violation}")?;
        }
        Ok(())
    }
}
