//! Foreign libp2p peers, really run beside a Hedgerow node, and the matrix of what works.
//!
//! The peers are small programs of our own around go-libp2p, js-libp2p, py-libp2p, kubo and
//! Helia. They speak the line protocol of `docs/specs/interop-peer.md`; the node is driven by
//! its command `hedgerow` alone. Every process is in a network namespace of its own.

pub mod cell;
pub mod contract;
mod files;
pub mod foreign;
pub mod hedgerow;
pub mod known;
pub mod line;
pub mod matrix;
pub mod measure;
pub mod prepare;
mod runtime;
pub mod table;
pub mod throughput;
