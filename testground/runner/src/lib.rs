//! Plans in Testground's layout, run on the lab.
//!
//! A plan is a folder with a `manifest.toml` and a program. The program `testground` starts
//! the plan's program once for each instance, in a network namespace of its own, with
//! Testground's environment, and a sync service by which instances wait for each other.
//! The guide is `docs/testground.md`; the sync service's rules are in
//! `docs/specs/sync-service.md`.

pub mod composition;
pub mod environment;
pub mod event;
pub mod faults;
mod files;
pub mod history;
pub mod layout;
pub mod manifest;
pub mod oracle;
pub mod params;
pub mod plans;
pub mod report;
pub mod run;
pub mod shaping;
pub mod suggest;
pub mod sync;
