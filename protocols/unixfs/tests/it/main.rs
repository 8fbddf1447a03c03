//! The crate from outside.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test that fails is a test that fails"
)]

mod chunking;
mod concat;
mod export;
mod golden;
mod hostile;
mod import;
mod roundtrip;
mod splice;
mod splice_narrow;
mod support;
