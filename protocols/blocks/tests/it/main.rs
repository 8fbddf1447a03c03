//! Blocks, through the public interface.

mod durability;
mod faults;
mod model;
mod network;
mod support;
