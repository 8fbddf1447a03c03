//! Bitswap 1.2.0: blocks by CID from and to any IPFS peer.
//!
//! [`Behaviour`] gives the blocks of a [`Source`] to whoever asks for them, and its
//! [`Handle`] gets blocks from peers. Every block is hashed before it means anything. A
//! [`Session`] asks first who has a block, asks one of them for it, and leaves peers that
//! lie or stall. Who may have a block is for others to find out.
//!
//! Rules Z1 to Z19 of `docs/specs/bitswap.md` are cited where the code obeys them.
//!
//! ```
//! use bitswap::{Entry, Message, WantType};
//!
//! let cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku".parse()?;
//! let message = Message {
//!     entries: vec![Entry::want(cid, WantType::Have)],
//!     ..Message::default()
//! };
//! assert_eq!(Message::decode(message.encode().into()), Ok(message));
//! # Ok::<(), cid::Error>(())
//! ```

mod behaviour;
mod bounds;
mod client;
mod config;
mod driver;
mod error;
mod fields;
mod handle;
mod message;
mod peer;
mod prefix;
mod receiver;
mod sender;
mod server;
mod shared;
mod stats;

pub use behaviour::{Behaviour, OLDER, PROTOCOL};
pub use bounds::{
    BATCH, FANOUT, MAX_BLOCK, MAX_GETS, MAX_INBOUND_STREAMS, MAX_ITEMS, MAX_MESSAGE,
    MAX_SESSION_PEERS, MAX_SESSIONS, MAX_WANTS, MAX_WANTS_PER_PEER, OUTBOUND_BYTES, PIPELINE,
};
pub use config::Config;
pub use error::{GetError, Reason};
pub use handle::{Handle, Session};
pub use message::{Entry, Malformed, Message, Payload, Presence, WantType};
pub use prefix::Prefix;
pub use server::{Source, as_kept};
pub use stats::Stats;
