//! libp2p mDNS discovery on every interface, IPv4 and IPv6 at once.
//!
//! A [`Behaviour`] finds the peers on the links of this machine, and lets them
//! find it, without any address typed by anyone. It speaks the mDNS of the
//! libp2p specification, so peers of other implementations are found as well.
//! It differs from `libp2p-mdns` in that it has a socket for each interface
//! and family, notices interfaces that come and go, and asks often at first
//! and seldom later. The rules, cited as **M1** and so on in the code, are in
//! `docs/specs/mdns.md`.
//!
//! It must be made inside a tokio runtime, where its sockets live:
//!
//! ```
//! # async fn example() -> Result<(), mdns::ConfigError> {
//! let key = libp2p_identity::Keypair::generate_ed25519();
//! let behaviour = mdns::Behaviour::new(mdns::Config::default(), key.public().to_peer_id())?;
//! # drop(behaviour);
//! # Ok(())
//! # }
//! ```

mod address;
mod backoff;
mod behaviour;
mod config;
mod engine;
mod interfaces;
mod link;
mod packet;
mod socket;
mod table;

pub use behaviour::{Behaviour, Event};
pub use config::{Config, ConfigError};
