//! Overlays of a few nodes on the memory transport.

mod applications;
mod hostile;
mod membership;
mod net;
mod objects;
mod routing;
