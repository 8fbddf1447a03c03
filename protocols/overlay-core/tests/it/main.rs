//! The overlay through its public API, in virtual time.

mod net;

mod determinism;
mod discovery;
mod failures;
mod joining;
mod leaving;
mod merging;
mod messages;
mod requests;
mod routing;
