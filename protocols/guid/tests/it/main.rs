//! Identifiers through the public API.

mod digits;
mod identity;
mod ring;
mod span;
