//! Discovery of libp2p peers by multicast DNS, on every interface and in both
//! IP versions at once.
//!
//! The rules M1, M2, … cited in this crate stand in `docs/specs/mdns.md`.
//!
//! A [`Behaviour`] keeps one socket for each interface that can multicast and
//! each IP version the interface has an address of. It announces on an
//! interface the node's listen addresses that belong to it, and reports the
//! addresses other peers announce as [`Event`]s. It also offers them whenever
//! the swarm dials one of these peers.
//!
//! Announcements are not signed: anybody on the link can announce any address
//! for any peer. What is learnt is a hint of where to dial, and the
//! connection's handshake proves who is there.

mod backoff;
mod behaviour;
mod config;
mod interface;
mod known;
mod links;
mod packet;
mod schedule;
mod socket;
mod watch;

pub use behaviour::{Behaviour, Event, SocketInfo};
pub use config::{
    Config, ConfigError, DEFAULT_SERVICE, MAX_QUERY_INTERVAL, MAX_TTL, MIN_QUERY_INTERVAL, MIN_TTL,
};
pub use interface::{Counters, MAX_OWN_ADDRESSES};
pub use known::{MAX_ADDRESSES_PER_PEER, MAX_PEERS};
pub use links::{MAX_LINK_ADDRESSES, MAX_LINKS};
pub use packet::{MAX_ADDRESSES, MAX_INSTANCES, MAX_PACKET, MAX_RECORDS, MAX_TXT_STRING};
pub use schedule::{ANSWER_DELAY_MS, ANSWER_SPACING, MAX_UNICAST};
pub use socket::Family;
