//! What is fuzzed: each decoder that a peer's bytes reach in the overlay, one core among
//! hostile peers, and small networks under a hostile scheduler.
//!
//! A target is a function of bytes alone that panics when a property does not hold. The
//! ordinary tests run every file under `corpus/` through its target on stable Rust; the
//! crate in `libfuzzer/` gives the same functions to cargo-fuzz. The commands are in this
//! crate's `README.md`.
//!
//! ```
//! let (_, run) = fuzz_targets::TARGETS[0];
//! run(b"any bytes at all");
//! ```

#[cfg(feature = "decoders")]
mod allocated;
#[cfg(feature = "decoders")]
pub mod bitswap;
mod bounds;
#[cfg(feature = "decoders")]
pub mod claim;
#[cfg(feature = "decoders")]
pub mod contact;
#[cfg(feature = "decoders")]
pub mod frame;
pub mod hostile;
#[cfg(feature = "decoders")]
pub mod message;
pub mod network;
mod places;
#[cfg(feature = "decoders")]
pub mod record;
#[cfg(feature = "decoders")]
pub mod version;

/// Counts what decoders take, see [`message`].
#[cfg(feature = "decoders")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The name of a corpus, and what is run on each of its files.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("hostile", hostile::run),
    ("network", network::run),
    #[cfg(feature = "decoders")]
    ("frame", frame::run),
    #[cfg(feature = "decoders")]
    ("message", message::run),
    #[cfg(feature = "decoders")]
    ("contact", contact::run),
    #[cfg(feature = "decoders")]
    ("record", record::run),
    #[cfg(feature = "decoders")]
    ("claim", claim::run),
    #[cfg(feature = "decoders")]
    ("version", version::run),
    #[cfg(feature = "decoders")]
    ("bitswap", crate::bitswap::run),
];
