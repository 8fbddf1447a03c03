//! The S3 door of a real node, by a client that can also do wrong.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test that fails is a test that fails"
)]

mod bodies;
mod client;
mod conditions;
mod house;
mod keys;
mod objects;
mod signatures;
mod uploads;
mod versions;
