//! The overlay's view as the API tells it.

use std::{collections::BTreeSet, time::Duration};

use overlay::Handle;

use super::types::{Contact, LeafSet, RelayStatus, Table, TableEntry};
use crate::network::{Path, Reachability, Reservation, ReservationState};

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub(crate) fn contact(contact: &overlay::Contact, rtt: Option<Duration>) -> Contact {
    Contact {
        guid: contact.guid.to_string(),
        peer_id: contact.peer.to_string(),
        addresses: contact.addrs.iter().map(ToString::to_string).collect(),
        rtt_ms: rtt.map(millis),
    }
}

pub(crate) fn is_active(overlay: &Handle) -> bool {
    overlay.snapshot().state == overlay::State::Active
}

pub(crate) fn leaf_set(overlay: &Handle) -> LeafSet {
    let snapshot = overlay.snapshot();
    let state = match snapshot.state {
        overlay::State::Joining => "joining",
        overlay::State::Active => "active",
        overlay::State::Left => "left",
    };
    let side = |side: &[overlay::Contact]| side.iter().map(|leaf| contact(leaf, None)).collect();
    LeafSet {
        state: state.to_owned(),
        me: contact(&snapshot.me, None),
        smaller: side(&snapshot.leaf_set.smaller),
        larger: side(&snapshot.leaf_set.larger),
    }
}

/// The neighbours' GUIDs; in a small ring one node stands on both sides.
pub(crate) fn leaf_guids(set: &LeafSet) -> BTreeSet<String> {
    set.smaller
        .iter()
        .chain(&set.larger)
        .map(|contact| contact.guid.clone())
        .collect()
}

/// The filled cells of the routing table, and the neighbourhood set.
pub(crate) fn table(overlay: &Handle) -> Table {
    let snapshot = overlay.snapshot();
    let entry = |cell: &overlay::Cell| TableEntry {
        row: cell.row,
        column: cell.column,
        contact: contact(&cell.contact, cell.rtt),
    };
    let near = |neighbour: &overlay::Neighbour| contact(&neighbour.contact, neighbour.rtt);
    Table {
        me: contact(&snapshot.me, None),
        entries: snapshot.routing_table.iter().map(entry).collect(),
        neighbourhood: snapshot.neighbourhood.iter().map(near).collect(),
    }
}

/// How a peer is connected, in one word.
pub(crate) fn path(path: Path) -> &'static str {
    match path {
        Path::Direct => "direct",
        Path::Relayed => "relayed",
        Path::Upgraded => "upgraded",
    }
}

/// Whether others can dial the node, in one word.
pub(crate) fn reachability(reachability: Reachability) -> &'static str {
    match reachability {
        Reachability::Unknown => "unknown",
        Reachability::Private => "private",
        Reachability::Public => "public",
    }
}

/// A reservation as the API tells it.
pub(crate) fn relay_status(reservation: Reservation) -> RelayStatus {
    RelayStatus {
        relay: reservation.relay.to_string(),
        named: reservation.named,
        state: match reservation.state {
            ReservationState::Waiting => "waiting",
            ReservationState::Asking => "asking",
            ReservationState::Held => "held",
        }
        .to_owned(),
        error: reservation.error,
    }
}
