//! Who still needs a block, known where the block is kept.
//!
//! Whoever needs a block leaves a [`Claim`] at its replica set, and a release of the claim when
//! it needs it no more. A block that has releases and no claim is [`State::Free`], and can go
//! from the whole network. Claims and releases are a grow-only set of names with two states, so
//! that lost messages, repeats and any order do no harm; copies are placed and repaired by the
//! crate `replicas`.
//!
//! Rules CL1 to CL10 of `docs/specs/claims.md` are cited where the code obeys them.

mod behaviour;
mod claim;
mod clock;
mod collection;
mod fjall_store;
mod handle;
mod item;
mod key;
mod memory;
mod room;
mod row;
mod secret;
mod state;
mod store;
mod writer;

pub use behaviour::{Behaviour, SWEEP_EVERY, new};
pub use claim::Claim;
pub use clock::{Clock, SystemClock};
pub use collection::{Claims, PROTOCOL};
pub use fjall_store::{FORMAT, FjallClaims};
pub use handle::Handle;
pub use item::{CLOCKS_APART, Item, ItemError, MAX_ITEM, RELEASE_LIFE, Release};
pub use memory::MemoryClaims;
pub use room::{FULL_FOR, Limits, Usage};
pub use secret::{Secret, TAG_DOMAIN, Tag};
pub use state::{FreePage, MAX_LOOKED, State};
pub use store::{Outcome, Refused, Store};
