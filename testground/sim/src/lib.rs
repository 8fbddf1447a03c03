//! The overlay in virtual time: 100,000 nodes in one process, decided by one seed.
//!
//! [`Sim`] drives [`overlay_core::Overlay`], the code that runs in the node, over a
//! [`network::Network`] of its own. [`tables`] reproduces the figures of the papers,
//! [`scenario`] runs what a file describes, and [`invariants`] says what must hold then.
//! [`webcache`] runs the shared web cache's core on traces. Rules S1 to S24 of `docs/specs/simulator.md` are cited where they are obeyed.
//!
//! ```
//! use sim::{Contact, Settings, Sim, Unobserved, formation};
//!
//! let mut sim = Sim::new(&Settings::calm(1)).expect("settings without a file");
//! formation::grow(&mut sim, 50, Contact::Nearest, &mut Unobserved).expect("joins on links without loss");
//! assert_eq!(sim.ring().len(), 50);
//! ```

pub mod adversary;
pub mod dice;
mod digest;
pub mod formation;
pub mod invariants;
pub mod lookups;
pub mod network;
pub mod objects;
pub mod oracle;
pub mod paper;
mod queue;
pub mod report;
mod ring;
pub mod scenario;
mod settings;
mod sim;
pub mod tables;
mod traffic;
pub mod webcache;

pub use digest::Digest;
pub use formation::Contact;
pub use ring::Ring;
pub use settings::Settings;
pub use sim::{Arrival, Delivery, Happening, Observer, Sim, Tamper, Unobserved};
pub use traffic::{Kind, Traffic};

/// A node's number: they count up from 0 in the order in which they first started.
pub type Node = u32;
