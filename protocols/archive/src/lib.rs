//! The archive: a version of an object as erasure-coded fragments on many nodes, any m of n of
//! which give all of it back, also when every replica of its blocks is gone.
//!
//! After OceanStore (Kubiatowicz et al., ASPLOS 2000, 4.5; Rhea et al., FAST 2003, section 5).
//! The blocks of a version are one stream; it is cut into segments; a [`Segment`] is coded by a
//! [`Coder`] into n fragments, each of which proves that it belongs to it ([`Fragment`]); what
//! there is of them and where, the owner signs in a [`Manifest`]. A [`Handle`] does all that over
//! two collections of [`replicas`], and makes anew what is missing.
//!
//! Rules H1 to H26 of `docs/specs/archive.md` are cited where the code obeys them.

mod add;
mod code;
mod collections;
mod columns;
mod error;
mod fjall_store;
mod handle;
mod manifest;
mod names;
mod restore;
mod segment;
mod store;
mod strays;
mod stream;
mod sweep;
mod walk;

pub use add::{Added, Report};
pub use code::{CodeError, Coder, MAX_FRAGMENTS, MAX_NEEDED, Rate, SHARD};
pub use collections::{Fragments, MANIFEST_COPIES, Manifests, fragments_config, manifests_config};
pub use columns::FRAGMENTS;
pub use error::{AddError, FindError, RestoreError};
pub use fjall_store::{FjallStore, STORE_FORMAT, open};
pub use handle::{Archived, Config, Handle, Kept, MAX_JOBS, MAX_OWN};
pub use manifest::{
    Contents, FORMAT, MAX_BLOCKS, MAX_MANIFEST, MAX_SEGMENTS, Manifest, ManifestError,
    SIGNING_DOMAIN, SignError,
};
pub use restore::Restored;
pub use segment::{Fragment, FragmentError, MAX_FRAGMENT, Root, Segment};
pub use store::{Item, Limits, MemoryStore, Store, Usage};
pub use stream::{Cutter, Joiner, StreamError};
pub use sweep::{Census, Column, Looked};
pub use walk::WalkError;
