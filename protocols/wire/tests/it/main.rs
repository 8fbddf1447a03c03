//! Two swarms on the memory transport, and the frame codec by itself.

mod connections;
mod frames;
mod messages;
mod probe;
mod streams;
