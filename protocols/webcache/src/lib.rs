//! The web cache's proxy.
//!
//! [`Proxy`] is an HTTP/1.1 forward proxy for the clients of one machine. What may be kept is
//! kept in a [`Store`] on disk, by the rules of RFC 9111 as `http-cache-semantics` knows them; a
//! request for what is on its way already is answered from what has come of it. Rules Q16 to Q29
//! of `docs/specs/webcache.md` are cited where they are obeyed.

mod answer;
mod arriving;
mod body;
mod conditions;
mod config;
mod file;
mod flights;
mod forward;
mod headers;
mod proxy;
mod request;
mod resolve;
mod rules;
mod stats;
mod store;
mod tunnel;
mod warm;

pub use config::{Config, default_room};
pub use proxy::Proxy;
pub use stats::Stats;
pub use store::{Kept, Store, StoreError};
pub use warm::{BadUrl, Warmed};
