//! The archive through its public interface: the code, what proves itself, what is signed, and
//! real nodes on the memory transport.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adding;
mod code;
mod fragments;
mod manifests;
mod net;
mod repair;
mod restoring;
mod stores;
mod stream;
mod support;
