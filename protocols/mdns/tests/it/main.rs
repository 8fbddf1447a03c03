//! Two and more nodes on real sockets.
//!
//! The tests run in a network namespace of their own, in which nothing reaches
//! the machine's interfaces: the test program starts itself again under
//! `unshare`. Where that is not possible they say so and pass.

// The lint's exception for tests does not reach the helpers of tests.
#![allow(clippy::unwrap_used)]

mod discovery;
mod namespace;
mod rust_libp2p;
mod trouble;
