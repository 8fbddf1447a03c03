//! Signed, expiring records on the k nodes closest to a key.
//!
//! A publisher puts a value under a key, replaces it, removes it; anybody gets it.
//! Publishers do not disturb one another: each has one place ([`Item`]) under every key,
//! and what stands there is decided by its signature and its sequence number alone, so
//! that the replicas agree without talking about it. Copies are placed and repaired by
//! the crate `replicas`.
//!
//! Rules D1 to D12 of `docs/specs/dht.md` are cited where the code obeys them.

mod behaviour;
mod clock;
mod collection;
mod error;
mod fjall_store;
mod handle;
mod item;
mod ledger;
mod record;
mod record_error;
mod store;

pub use behaviour::{Behaviour, SWEEP_EVERY, new};
pub use clock::{Clock, SystemClock};
pub use collection::{PROTOCOL, Records};
pub use error::{GetError, PutError, RemoveError};
pub use fjall_store::{FORMAT, FjallRecords};
pub use handle::{Found, Handle, MAX_FOUND, Receipt};
pub use item::Item;
pub use ledger::{Limits, NoRoom, Usage};
pub use record::{
    MAX_CLOCK_SKEW, MAX_LIFETIME, MAX_PUBLISHER, MAX_RECORD, MAX_SEQ, MAX_SIGNATURE, MAX_VALUE,
    Record, SIGNING_DOMAIN, latest_expiry,
};
pub use record_error::{RecordError, SignError, ValueTooLarge};
pub use store::{MemoryRecords, Outcome, RecordStore, Refused};
