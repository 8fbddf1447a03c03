//! The crate from outside.

mod export;
mod golden;
mod hostile;
mod import;
mod roundtrip;
mod support;
