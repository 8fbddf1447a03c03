//! Pins, passes and looks through the public interface: real nodes on the memory transport.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod looks;
mod needs;
mod net;
mod passes;
mod pins;
