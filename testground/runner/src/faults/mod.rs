//! Faults of a run as data: what goes wrong, when, and to whom. The rules, F1 to F11, are in
//! `docs/specs/faults.md`.
//!
//! A [`Schedule`] is what a file says; [`Schedule::draw`] makes the [`Fault`]s of a run of
//! it, a pure function of schedule, seed and groups. [`Order`] and [`Done`] are what the
//! runner and an instance tell each other about those that are done to a node.

mod draw;
mod file;
mod order;
mod rules;
mod values;

pub use draw::Fault;
pub use file::{Kind, List, Schedule};
pub use order::{Done, Event, Order, Phase, order_topic};
pub use rules::rules;
pub use values::Direction;

/// The state that each instance enters when faults may begin (F6).
pub const READY: &str = "faults:ready";

/// The state that the runner enters when all faults have ended (F9).
pub const OVER: &str = "faults:over";

/// The topic of what instances have done (F8).
pub const DONE: &str = "faults:done";

/// The topic of all that is done, for those who want to know.
pub const EVENTS: &str = "faults:events";

/// Faults of one run: each is done, shown and waited for (F3).
pub const MAX_FAULTS: usize = 10_000;
