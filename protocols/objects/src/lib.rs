//! Versioned objects: a name that a key owns leads to versions that never change.
//!
//! A version is a signed [`Record`], a block like the content, linked to the one before it.
//! The newest one of an object, its [`Heads`], is kept by the nodes nearest its lasting name
//! and read from a majority of them; two records with one number are a fork, which is kept
//! and shown. After OceanStore (Kubiatowicz et al., ASPLOS 2000; Rhea et al., FAST 2003,
//! section 3), with one owner's key where Pond has an inner ring.
//!
//! Rules J1 to J21 of `docs/specs/objects.md` are cited where the code obeys them.

mod behaviour;
mod clock;
mod collection;
mod error;
mod fjall_store;
mod handle;
mod heads;
mod index;
mod name;
mod names;
mod namespace;
mod naming;
mod record;
mod record_error;
mod reference;
mod store;
mod update;

pub use behaviour::{Behaviour, new};
pub use collection::{Newest, PROTOCOL};
pub use error::{ReadError, WriteError};
pub use fjall_store::{FjallHeads, STORE_FORMAT};
pub use handle::{Blocks, Handle, History, MAX_HISTORY, MAX_WALK, WALK_TIME, Written};
pub use heads::{Heads, MAX_HEADS_BYTES};
pub use index::{Limits, NoRoom, Usage};
pub use name::{MAX_NAME, Name, NameError, prefix};
pub use namespace::{MAX_NAMES, MAX_NAMES_BYTES};
pub use naming::Listing;
pub use record::{
    FORMAT, FORMAT_WITH_PROPERTIES, Fields, MAX_AUTHOR, MAX_HEADS, MAX_RECORD, MAX_SEQ,
    MAX_SIGNATURE, Record, SIGNING_DOMAIN, is_vguid,
};
pub use record_error::{RecordError, SignError};
pub use reference::{
    MAX_ALIAS, Owner, Reference, ReferenceError, Spoken, Target, Version, aguid, is_alias,
    key_of_peer,
};
pub use store::{HeadStore, MemoryHeads, Outcome, Refused};
pub use update::{Action, Clause, Insert, MAX_CLAUSES, MAX_STEPS, Predicate, Update};
