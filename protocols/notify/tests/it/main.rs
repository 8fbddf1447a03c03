//! Channels on nodes over the memory transport.

// Helpers of tests are tests: what goes wrong in them fails the test that called.
#![allow(clippy::unwrap_used)]

mod announcing;
mod asking;
mod hostile;
mod net;
mod toy;
