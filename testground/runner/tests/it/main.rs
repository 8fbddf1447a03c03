//! The runner, through its public interface.

#![allow(clippy::unwrap_used, reason = "the helpers of tests panic like tests")]

mod faults;
mod formats;
mod running;
mod sync;
