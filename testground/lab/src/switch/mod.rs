//! The switch in user space: frames between TAP devices, as late, as lossy and as slow as
//! wanted. The rules are in `docs/specs/switch.md`.
//!
//! [`fabric`] decides what becomes of a frame, without a socket or a clock; [`serve`] is the
//! process around it, and [`remote`] the lab's end of its standard input and output.

mod fabric;
mod orders;
mod packets;
mod path;
mod pipe;
mod remote;
mod rules;
mod serve;
mod shape;
mod taps;

pub use orders::SwitchStats;
pub(crate) use orders::{Order, Port};
pub(crate) use remote::{Switch, program};
pub use rules::Rule;
pub use serve::serve;
pub use shape::{Shape, ShapeError, Uplink};
