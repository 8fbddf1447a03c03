//! The proxy, with a real origin behind it and a client that writes what it likes.
// Helpers of tests are tests: what goes wrong in them fails the test that called.
#![allow(clippy::unwrap_used)]

mod bodies;
mod caching;
mod crowds;
mod hostile;
mod intercepts;
mod network;
mod origin;
mod prefixes;
mod rules;
mod stale;
mod stores;
mod together;
mod tunnels;
mod validation;
mod visitor;
