//! Real nodes in network namespaces on one bridge.
//!
//! A [`Lab`] is a small emulated network on this machine: N nodes, each a real
//! process in a network namespace of its own, joined by one or more bridges.
//! It needs no root where the kernel lets a user make user namespaces, no
//! daemon and no kernel module beyond `veth` and `bridge`, and it never touches
//! the interfaces of the machine: every namespace, link and address is its own.
//!
//! The lab knows no program: it takes the path of a binary, its arguments, and
//! the line that the binary prints when it is ready. The guide is
//! `docs/lab.md`.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), lab::LabError> {
//! if let Some(reason) = lab::Lab::unavailable() {
//!     eprintln!("skipped: {reason}");
//!     return Ok(());
//! }
//! let lab = lab::Lab::builder()
//!     .nodes(3)
//!     .binary("target/release/node")
//!     .args(["start", "--home", "{home}"])
//!     .build()?;
//! lab.start_all()?;
//! for node in 0..lab.len() {
//!     lab.wait_ready(node, Duration::from_secs(5))?;
//! }
//! lab.kill(0)?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything ends with the lab: dropping it kills the nodes and removes the
//! network, and so does the death of the process that holds it, however it
//! died.

mod builder;
mod error;
mod lab;
mod namespace;
mod network;
mod process;
mod switch;
mod topology;
mod usage;
mod wires;

pub use builder::Builder;
pub use error::LabError;
pub use lab::Lab;
pub use network::Family;
pub use process::Process;
pub use switch::{Rule, Shape, ShapeError, SwitchStats, Uplink, serve as switch};
pub use topology::Nat;
pub use usage::{Traffic, Usage};
