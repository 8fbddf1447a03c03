//! Reaching and being reached through NATs (`docs/specs/nat.md`).

mod paths;
mod probing;
mod reachability;
mod relays;
mod served;

pub use paths::Path;
pub(crate) use paths::{Link, path_of, to_close};
pub(crate) use probing::Probing;
pub use reachability::Reachability;
pub(crate) use reachability::Tests;
pub(crate) use relays::Relays;
pub use relays::{Reservation, ReservationState};
pub use served::Relaying;
pub(crate) use served::Served;

use libp2p::{Multiaddr, multiaddr::Protocol};

/// Whether `address` leads over a relay.
pub(crate) fn is_circuit(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}
