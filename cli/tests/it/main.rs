//! The program `hedgerow` as a person runs it: alone, and beside real nodes in namespaces
//! of their own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archive;
mod bad_input;
mod bench;
mod cache_setup;
mod copies;
mod crashes;
mod discovery;
mod disks;
mod docs;
mod dolr;
mod doors;
mod gateway;
mod gossip;
mod guide;
mod interrupts;
mod kademlia;
mod named;
mod objects;
mod registries;
mod rendezvous;
mod s3;
mod shared_cache;
mod sizes;
mod survival;
mod trace;
mod upkeep;
mod values;
mod walk;
mod watch;
mod web_cache;

mod net;
mod support;
