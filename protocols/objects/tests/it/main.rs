//! Records, heads, their stores, and the handle, through the public interface.

// Helpers of tests are tests: what goes wrong in them fails the test that called.
#![allow(clippy::unwrap_used)]

mod forks;
mod handle;
mod heads;
mod lists;
mod net;
mod record;
mod stores;
mod support;
mod updates;
