//! The program `hedgerow` as a person runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod network;
mod support;
