//! The overlay through its public API, in virtual time.

mod net;

mod any_of;
mod consistency;
mod determinism;
mod discovery;
mod failures;
mod forwarding;
mod idle;
mod joining;
mod late;
mod leaving;
mod locating;
mod location_bounds;
mod location_churn;
mod location_messages;
mod merging;
mod messages;
mod proximity;
mod publishing;
mod requests;
mod routing;
mod security;
