//! Blocks, through the public interface.

#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod cache;
mod durability;
mod faults;
mod model;
mod network;
mod support;
