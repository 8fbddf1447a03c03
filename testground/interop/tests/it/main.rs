//! The runner's own logic; no network, no peer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod known;
mod line;
mod pins;
mod table;
