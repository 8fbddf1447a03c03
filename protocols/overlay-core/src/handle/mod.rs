//! What a node does about each input, a file for each concern.

mod ask;
pub(crate) mod discovery;
mod heal;
pub(crate) mod intercept;
pub(crate) mod join;
mod leave;
mod maintain;
pub(crate) mod near_seed;
mod nearest;
pub(crate) mod pace;
mod point;
mod probe;
mod publish;
mod random;
pub(crate) mod redundant;
mod repair;
pub(crate) mod request;
pub(crate) mod route;
mod search;
mod seek;
pub(crate) mod tune;
mod unpublish;
