//! What this node relays for others (T14).

use std::collections::{BTreeSet, HashMap};

use libp2p::{PeerId, relay};

/// What a node relays for others at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relaying {
    /// Whether it offers to.
    pub offered: bool,
    /// Peers with a reservation.
    pub reservations: usize,
    /// Circuits.
    pub circuits: usize,
}

/// Keeps count by the events of the relay, whose bounds are those of this too.
#[derive(Debug, Default)]
pub(crate) struct Served {
    reservations: BTreeSet<PeerId>,
    circuits: HashMap<(PeerId, PeerId), usize>,
}

impl Served {
    pub(crate) fn on_event(&mut self, event: &relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id, .. } => {
                self.reservations.insert(*src_peer_id);
            }
            relay::Event::ReservationClosed { src_peer_id }
            | relay::Event::ReservationTimedOut { src_peer_id } => {
                self.reservations.remove(src_peer_id);
            }
            relay::Event::CircuitReqAccepted {
                src_peer_id,
                dst_peer_id,
            } => {
                *self
                    .circuits
                    .entry((*src_peer_id, *dst_peer_id))
                    .or_default() += 1;
            }
            relay::Event::CircuitClosed {
                src_peer_id,
                dst_peer_id,
                ..
            } => {
                let ends = (*src_peer_id, *dst_peer_id);
                if let Some(count) = self.circuits.get_mut(&ends) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.circuits.remove(&ends);
                    }
                }
            }
            _ => {}
        }
    }

    pub(crate) fn now(&self, offered: bool) -> Relaying {
        Relaying {
            offered,
            reservations: self.reservations.len(),
            circuits: self.circuits.values().sum(),
        }
    }
}
