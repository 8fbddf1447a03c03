//! Where objects are: Tapestry's location layer on Pastry's mesh.
//!
//! Zhao et al., *Tapestry: A Resilient Global-Scale Overlay for Service Deployment* (IEEE
//! JSAC 22(1), 2004), sections II and III; Hildrum et al., *Distributed Object Location in
//! a Dynamic Network* (SPAA 2002). A node that holds an object leaves pointers to itself on
//! the ways to the object's roots, and a search that climbs towards a root turns off at the
//! first. Rules L1 to L18 of `docs/specs/location.md` are cited where they are obeyed.
//!
//! The files here hold the state, those under `handle/` what is done about inputs.

mod config;
pub(crate) mod message;
pub(crate) mod pointers;
pub(crate) mod publication;
pub(crate) mod state;

pub use config::LocationConfig;
pub use message::{
    Errand, Full, Location, MAX_LIFETIME_SECS, MAX_ROOTS, MAX_SPREAD, MAX_WANTED, Publish, Search,
    Spread, Stored, Task, Way,
};
