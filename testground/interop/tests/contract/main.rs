//! The contract of libp2p's public matrix: the program `interop-ping` as the matrix runs it,
//! with a real Redis, in namespaces of the lab (X18 to X24 of `docs/specs/interop-peer.md`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad;
mod environment;
mod foreign;
mod pairs;
mod support;
