//! 128-bit identifiers on a ring.
//!
//! Nodes, blocks, records and objects all live in one circular space of 2^128
//! identifiers (Rowstron & Druschel, "Pastry", Middleware 2001, section 2). This
//! crate holds what every layer above needs to agree on: how an identifier is made
//! from a key, a CID or a name, how it splits into digits, and how far two of them
//! lie apart.
//!
//! ```
//! use guid::{Base, Guid};
//!
//! let here: Guid = "10000000000000000000000000000000".parse()?;
//! let there: Guid = "1f000000000000000000000000000000".parse()?;
//! assert_eq!(here.shared_prefix(there, Base::B4), 1);
//! assert_eq!(there.digit(1, Base::B4), 0xf);
//! # Ok::<(), guid::ParseGuidError>(())
//! ```
//!
//! Rules G1 to G7 of `docs/specs/guid.md` are cited where the code obeys them.

mod base;
mod guid;
mod span;

pub use base::Base;
pub use guid::{Guid, ParseGuidError};
pub use span::Span;
