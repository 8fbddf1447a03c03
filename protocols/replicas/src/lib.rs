//! Keeps k copies of every item on the k nodes numerically closest to its key.
//!
//! A [`Collection`] says what the items are, a [`Placement`] who is close; this crate
//! moves the bytes: [`Handle::put`] answers when a quorum of the replica set holds the
//! item durably, [`Handle::get`] asks several holders and verifies what they send, and
//! a task in the background compares digests with the neighbours on the ring and moves
//! what differs, so that lost copies come back by themselves (PAST, Rowstron & Druschel,
//! SOSP 2001, section 3.2; the digests in place of PAST's fetching whole id lists).
//!
//! What a node keeps beyond its duty, it publishes in a [`Directory`], where those who read
//! find the copy that is nearest to them.
//!
//! [`Behaviour`] only opens streams. Each stream is served by tasks of its own, straight
//! from the store: the Swarm task copies no bulk.
//!
//! Rules R1 to R25 of `docs/specs/replicas.md` are cited where the code obeys them.

mod agree;
mod arcs;
mod behaviour;
mod budget;
mod collection;
mod config;
mod copies;
mod digest;
mod directory;
mod duty;
pub mod engine_error;
mod fetch;
mod hand_over;
mod handle;
pub mod hashing;
mod keep;
mod keepers;
mod message;
mod moving;
mod nearest;
mod overlay_placement;
mod place;
mod placement;
mod pool;
mod reconcile;
mod repair;
mod server;
mod shared;
mod spans;
mod stats;
mod stream;

pub use behaviour::Behaviour;
pub use collection::{Cached, Collection, Entry, ItemId, MAX_ID, PutRefused, StoreError, Stored};
pub use config::{
    Config, MAX_HEADER, MAX_INBOUND_STREAMS, MAX_KEEPING, MAX_LIST, MAX_PEERS, MAX_PUBLISHED,
    MAX_REPAIRS, MAX_REQUESTS_PER_STREAM, MAX_SPANS, SPLIT,
};
pub use directory::Directory;
pub use fetch::GetError;
pub use hand_over::Holding;
pub use handle::Handle;
pub use keepers::Keeper;
pub use message::Refusal;
pub use place::{PutError, PutReceipt};
pub use placement::{Placement, PlacementError};
pub use pool::RequestError;
pub use stats::Stats;
