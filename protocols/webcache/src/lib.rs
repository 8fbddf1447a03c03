//! The web cache: a proxy, and what nodes share of what it keeps.
//!
//! [`Proxy`] is an HTTP/1.1 forward proxy for the clients of one machine. What may be kept is
//! kept in a [`Store`] on disk, by the rules of RFC 9111 as `http-cache-semantics` knows them; a
//! request for what is on its way already is answered from what has come of it. With [`Peers`] a
//! miss is asked of other nodes before the origin, and theirs are answered. Rules Q16 to Q49 of
//! `docs/specs/webcache.md` are cited where they are obeyed.

mod addresses;
mod answer;
mod arriving;
mod authority;
mod body;
mod conditions;
mod config;
mod digest;
mod documents;
mod file;
mod flights;
mod forward;
mod headers;
mod keeper;
mod memory;
mod network;
mod parts;
mod places;
mod prefix;
mod proxy;
mod receiving;
mod request;
mod resolve;
mod rules;
mod stats;
mod store;
mod tls;
mod tunnel;
mod wanted;
mod warm;
mod window;

pub use addresses::{Networks, NotANetwork};
pub use authority::{Authority, AuthorityError, Hosts, NotAHost};
pub use config::{Config, default_room};
pub use network::{Behaviour, PROTOCOL, Peers, PeersConfig, Trust};
pub use proxy::Proxy;
pub use stats::Stats;
pub use store::{Kept, Store, StoreError};
pub use tls::{Roots, RootsError};
pub use warm::{BadUrl, Warmed};
pub use webcache_core::Scheme;
