//! The control API: HTTP and JSON over a unix socket and a loopback port.

mod failure;
mod guard;
pub mod types;
