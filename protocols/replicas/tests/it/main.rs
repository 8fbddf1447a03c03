//! Replicas over the memory transport, with a placement the tests decide.

mod exchange;
mod hostile;
mod map;
mod net;
mod raw;
mod repair;
