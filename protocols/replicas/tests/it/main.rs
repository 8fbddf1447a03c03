//! Replicas over the memory transport, with a placement the tests decide.

#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod agreed;
mod copies;
mod directory;
mod exchange;
mod hostile;
mod liar;
mod map;
mod net;
mod raw;
mod repair;
