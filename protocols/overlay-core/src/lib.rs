//! Pastry without input or output.
//!
//! [`Overlay`] is one node's part in the routing overlay of Rowstron & Druschel,
//! *Pastry* (Middleware 2001), made dependable as in Castro, Costa & Rowstron,
//! *MSPastry* (DSN 2004). It opens no socket, starts no thread, reads no clock and draws
//! from no random source but the seed it is given; so the node and a simulator run the
//! same code. Rules P1 to P38 of `docs/specs/pastry.md` are cited where they are obeyed.
//!
//! On the same mesh stands the location layer of Zhao et al., *Tapestry* (JSAC 2004): a node
//! that holds an object publishes it, and others find the nearest that does. Its rules are
//! L1 to L18 of `docs/specs/location.md`.
//!
//! # Driving it
//! Three ways in and out: [`Overlay::handle_input`] tells it what happened and when,
//! [`Overlay::poll_output`] says what to do, [`Overlay::poll_timeout`] says when to come
//! back. After each input, drain the outputs before the next one.
//!
//! ```
//! use guid::Guid;
//! use overlay_core::{Addrs, Config, Contact, Input, Output, Overlay, State, Time};
//!
//! let me = Contact { guid: Guid::new(7), peer: 1u32, addrs: Addrs::default() };
//! let mut now = Time::ZERO;
//! let mut overlay = Overlay::new(Config::default(), me, 42, now);
//! // Nobody is found, so after a while the node is a network of its own.
//! while overlay.state() != State::Active {
//!     while let Some(output) = overlay.poll_output() {
//!         // Here a driver sends, delivers and reports.
//!         drop::<Output<u32>>(output);
//!     }
//!     let (due, _why) = overlay.poll_timeout().expect("a joining node waits for something");
//!     now = due;
//!     overlay.handle_input(now, Input::Timeout);
//! }
//! ```

mod any_of;
mod checks;
mod config;
mod contact;
mod density;
mod handle;
mod hops;
mod io;
mod leaf_set;
mod location;
mod message;
mod near;
mod overlay;
mod peers;
mod quotas;
mod rtt;
mod security;
mod seen;
mod stats;
mod table;
mod time;
mod timers;

pub use any_of::AnyOf;
pub use config::{Config, ConfigError};
pub use contact::{Addrs, Contact, MAX_ADDRS, Peer};
pub use io::{
    Found, Input, Outcome, Output, Published, RequestId, RouteFailure, State, Ticket, TimerKind,
};
pub use location::{
    Errand, Full, Location, LocationConfig, MAX_LIFETIME_SECS, MAX_ROOTS, MAX_SPREAD, MAX_WANTED,
    Publish, Search, Spread, Stored, Task, Way,
};
pub use message::{
    Answer, AppId, Body, InvalidMessage, MAX_PAYLOAD, Message, MessageId, Part, Routed, TraceHop,
    View,
};
pub use overlay::Overlay;
pub use security::{RandomisedRouting, SecurityConfig};
pub use stats::Stats;
pub use time::Time;
