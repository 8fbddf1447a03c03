//! The overlay through its public API, in virtual time.

mod net;

mod consistency;
mod determinism;
mod discovery;
mod failures;
mod forwarding;
mod idle;
mod joining;
mod leaving;
mod merging;
mod messages;
mod proximity;
mod requests;
mod routing;
