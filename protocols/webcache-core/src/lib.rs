//! The shared web cache without input or output.
//!
//! [`Webcache`] is one node's part in the cache of Iyer, Rowstron & Druschel, *Squirrel: a
//! decentralized peer-to-peer web cache* (PODC 2002), in both of its schemes. It decides whom
//! to ask and what to answer, and has no socket, clock, store or unseeded chance: bodies,
//! origins and routing are its driver's, which in the node is the crate `webcache` and in the
//! simulator a loop. Rules Q1 to Q13 of `docs/specs/webcache.md` are cited where they are
//! obeyed.
//!
//! Where it departs from the paper: requests for one object wait for each other, at the
//! asker and at the home (Q3, Q8, Q9); a home says when it needs time (Q5); what is private is
//! remembered (Q6); a new home gets only what it lacks (Q12).
//!
//! # Driving it
//! Three ways in and out: [`Webcache::handle_input`] tells it what happened and when,
//! [`Webcache::poll_output`] says what to do, [`Webcache::poll_timeout`] says when to come
//! back. After each input, drain the outputs before the next one.
//!
//! ```
//! use overlay_core::Time;
//! use webcache_core::{
//!     Config, Input, Message, Meta, Outcome, Output, Purpose, Source, Ticket, Webcache, object_id,
//! };
//!
//! // The only node there is, so it is every object's home.
//! let mut cache = Webcache::new(Config::default(), 1u32, 42);
//! let (object, now) = (object_id("http://example.org/", []), Time::ZERO);
//! let meta = Meta { version: 7, size: 1000, fresh_until: Time::from_micros(60_000_000) };
//! cache.handle_input(now, Input::Request { ticket: Ticket(1), object, have: None });
//! let mut answered = None;
//! while let Some(output) = cache.poll_output() {
//!     match output {
//!         Output::ToHome { message, .. } | Output::Send { message, .. } => {
//!             cache.handle_input(now, Input::Received { from: 1, message, have: None });
//!         }
//!         Output::Origin { object, purpose, .. } => {
//!             let outcome = Outcome::Got(meta);
//!             cache.handle_input(now, Input::Fetched { object, purpose, outcome });
//!         }
//!         Output::Answer { source, .. } => answered = Some(source),
//!         Output::Refresh { .. } => {}
//!     }
//! }
//! assert_eq!(answered, Some(Source::Peer { from: 1, hit: false }));
//! ```

mod bounded;
mod cache;
mod checks;
mod config;
mod handle;
mod io;
mod message;
mod meta;
mod object;
mod places;
mod stats;
mod timers;

pub use cache::Webcache;
pub use config::{Config, ConfigError, Scheme};
pub use io::{Input, Outcome, Output, Purpose, Source, Ticket, TimerKind};
pub use message::{Copied, Duty, MAX_DELEGATES, MAX_OFFERED, Message, Offered, Told};
pub use meta::Meta;
pub use object::object_id;
pub use stats::Stats;
