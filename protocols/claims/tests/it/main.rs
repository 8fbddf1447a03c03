//! Claims, their stores, and nodes that keep them, through the public interface.

// Helpers of tests are tests: what goes wrong in them fails the test that called.
#![allow(clippy::unwrap_used)]

mod collection;
mod items;
mod killed;
mod model;
mod net;
mod ring;
mod rules;
mod stores;
mod support;
