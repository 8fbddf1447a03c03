//! The shared web cache on traces of requests (Q14, Q15).
//!
//! Each client is a node with a [`webcache_core::Webcache`], the code that runs in the node,
//! and a store of its own; the ring says whose home each object is. Routing is not run for
//! each request: its hops are measured on the overlay's own core, once.

mod access_log;
mod central;
mod driver;
mod store;
mod synthetic;
mod trace;

pub use access_log::{LogError, read_log};
pub use central::central;
pub use driver::{Run, run};
pub use store::Store;
pub use synthetic::{CAMBRIDGE, REDMOND, Site, synthetic};
pub use trace::{Item, Request, Trace};
