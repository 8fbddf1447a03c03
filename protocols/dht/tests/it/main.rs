//! Records, their stores, and the collection, through the public interface.

// Helpers of tests are tests: what goes wrong in them fails the test that called.
#![allow(clippy::unwrap_used)]

mod collection;
mod handle;
mod record;
mod rules;
mod stores;
mod support;
