//! What a node keeps for itself, what it lets go, and whether what it keeps is whole.
//!
//! A [pin](Handle::pin) keeps all blocks of a root at this node. A [pass](Handle::collect) lets
//! go of copies that are nobody's due, and the background does so when room is short. The
//! background also reads every block now and then, and a [check](Handle::check) looks at all that
//! names and pins lead to. Nothing here ever removes what a node owes to others: PAST
//! (Rowstron & Druschel, SOSP 2001, section 3) makes room in the same way.
//!
//! Rules I1 to I13 of `docs/specs/upkeep.md` are cited where the code obeys them.

mod background;
mod bringing;
mod check;
mod claiming;
mod collect;
mod config;
mod error;
mod handle;
mod ledger;
mod marking;
mod needs;
mod pin;
mod pinning;
mod removing;
mod retention;
mod scrub;
mod walk;

pub use check::{Checked, Lost, MAX_LOST};
pub use claiming::Released;
pub use collect::Collected;
pub use config::Config;
pub use error::{CheckError, CollectError, PinError};
pub use handle::{Claimed, Handle, Progress, Scope};
pub use ledger::{LEDGER_FORMAT, Ledger, Place};
pub use marking::MarkError;
pub use pin::{MAX_PINS, Pin, PinState};
pub use removing::Unwanted;
pub use retention::{Keep, PruneError, Pruned};
pub use scrub::Scrubbed;
pub use walk::{MAX_BLOCKS, MAX_DEPTH};
