//! Runs that a file describes: a network, faults, and what must hold (S11, S12).

mod driver;
mod file;
mod owners;
mod report;
mod sessions;

pub use driver::{RunError, run};
pub use file::{Churn, Fault, FaultKind, Lookups, Scenario, ScenarioError};
pub use report::Report;
pub use sessions::Sessions;
