//! What a node does about each input, a file for each concern.

mod discovery;
pub(crate) mod intercept;
pub(crate) mod join;
mod leave;
mod maintain;
mod probe;
mod repair;
pub(crate) mod request;
pub(crate) mod route;
