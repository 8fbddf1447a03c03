//! Pastry on libp2p: the network behaviour and the application interface.
//!
//! [`Behaviour`] is a shell around `overlay_core::Overlay`, which decides everything:
//! connections, frames and addresses become its inputs, its outputs become messages,
//! dials and upcalls. Applications hold a [`Handle`], the interface of Dabek et al.,
//! *Towards a Common API for Structured Peer-to-Peer Overlays* (IPTPS 2003).
//!
//! ```
//! use libp2p_identity::Keypair;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let key = Keypair::generate_ed25519();
//! let behaviour = overlay::Behaviour::new(overlay::Config::default(), &key);
//! let handle = behaviour.handle();
//! assert_eq!(handle.me().guid, overlay::guid_of_peer(&key.public().to_peer_id()));
//! # }
//! ```
//!
//! Rules O1 to O15 of `docs/specs/overlay.md` are cited where the code obeys them.

mod addrs;
mod behaviour;
mod closest;
mod command;
mod config;
mod contact;
mod error;
mod event;
mod handle;
mod identity;
mod inbound;
mod links;
mod objects;
mod outputs;
mod pending;
mod refused;
mod registry;
mod snapshot;
mod swarm;
mod upcalls;

pub use addrs::{decode as decode_addrs, encode as encode_addrs};
pub use behaviour::{Behaviour, PROTOCOL};
pub use config::{Config, ConfigError};
pub use contact::Contact;
pub use error::RouteError;
pub use event::{Event, RefusalReason};
pub use handle::{Handle, Hop, Reply};
pub use identity::guid_of_peer;
pub use inbound::{Rejected, read as read_message};
pub use objects::{Holder, ObjectReply, Published};
pub use overlay_core::{
    AppId, Full, LocationConfig, MAX_LIFETIME_SECS, MAX_PAYLOAD, MAX_ROOTS, MAX_SPREAD, MAX_WANTED,
};
pub use snapshot::{Cell, Counters, LeafSet, Lost, Neighbour, Newcomer, Snapshot, State};
pub use upcalls::{AppConfig, Delivery, Forward, Gate, Responder, Upcall, Upcalls};
