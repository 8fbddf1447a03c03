//! What a node knows, as values to look at.

use std::time::Duration;

use crate::closest::MADE_UP;
use guid::{Guid, Span};
use libp2p_identity::PeerId;
use overlay_core::Overlay;

use crate::Contact;

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not a member yet.
    Joining,
    /// A member: its leaf set has answered.
    Active,
    /// It has said good-bye.
    Left,
}

/// The neighbours on the ring. In a small ring a node can stand on both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeafSet {
    /// Going down from this node, the closest first.
    pub smaller: Vec<Contact>,
    /// Going up from this node, the closest first.
    pub larger: Vec<Contact>,
}

impl LeafSet {
    /// Every neighbour once, from the farthest below to the farthest above.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact> {
        let above = self
            .larger
            .iter()
            .filter(|contact| self.smaller.iter().all(|below| below.peer != contact.peer));
        self.smaller.iter().rev().chain(above)
    }
}

/// A filled cell of the routing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// How many leading digits the node shares with this one.
    pub row: usize,
    /// Its next digit.
    pub column: usize,
    /// The node.
    pub contact: Contact,
    /// Measured round trip, if there was a measurement.
    pub rtt: Option<Duration>,
}

/// A node of the neighbourhood set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The node.
    pub contact: Contact,
    /// Measured round trip, if there was a measurement.
    pub rtt: Option<Duration>,
}

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages given to connections.
    pub sent: u64,
    /// Messages received and accepted.
    pub received: u64,
    /// Messages dropped because a queue to a peer was full.
    pub dropped: u64,
    /// Messages that could not be decoded, or broke the framing.
    pub garbage: u64,
    /// Messages refused because a contact in them was forged.
    pub forged: u64,
    /// Upcalls dropped because an application's queue was full.
    pub upcalls_dropped: u64,
    /// Dials that failed.
    pub dials_failed: u64,
}

/// A neighbour that is gone and may be back one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its place on the ring.
    pub guid: Guid,
    /// When it was lost, since the start of this node.
    pub since: Duration,
}

/// A neighbour that joined a network that stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Its place on the ring.
    pub guid: Guid,
    /// When it became a neighbour, since the start of this node.
    pub since: Duration,
}

/// The state of a node at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the node stands.
    pub state: State,
    /// The node itself, with the addresses it tells others.
    pub me: Contact,
    /// Its neighbours on the ring.
    pub leaf_set: LeafSet,
    /// The arc of the ring on which the leaf set leaves nobody out; `None` where that is
    /// the whole ring.
    pub known_arc: Option<Span>,
    /// The filled cells of its routing table, row by row.
    pub routing_table: Vec<Cell>,
    /// The nodes near it in the network, nearest first.
    pub neighbourhood: Vec<Neighbour>,
    /// Neighbours that died or left and are not back; and of a node alone those that it
    /// was named and does not reach.
    pub lost: Vec<Lost>,
    /// Neighbours that came when this node had had its place for a minute, and did not come
    /// back from being lost: what they keep is what they were given since.
    pub newcomers: Vec<Newcomer>,
    /// What has happened since the start.
    pub counters: Counters,
}

/// Reads the core's state. The counters are the shell's to fill in.
pub(crate) fn take(core: &Overlay<PeerId>) -> Snapshot {
    let contacts =
        |list: &[overlay_core::Contact<PeerId>]| list.iter().map(Contact::from).collect();
    let cells = core.table().map(|(row, column, contact)| Cell {
        row,
        column,
        contact: Contact::from(contact),
        rtt: core.rtt(contact.peer),
    });
    let near = core.neighbourhood().map(|contact| Neighbour {
        contact: Contact::from(contact),
        rtt: core.rtt(contact.peer),
    });
    let lost = core.lost().map(|(guid, since)| Lost {
        guid,
        since: since.since(overlay_core::Time::ZERO),
    });
    Snapshot {
        state: match core.state() {
            overlay_core::State::Joining => State::Joining,
            overlay_core::State::Active => State::Active,
            overlay_core::State::Left => State::Left,
        },
        me: Contact::from(core.me()),
        leaf_set: LeafSet {
            smaller: contacts(core.smaller_leafs()),
            larger: contacts(core.larger_leafs()),
        },
        known_arc: core.known_arc(),
        routing_table: cells.collect(),
        neighbourhood: near.collect(),
        lost: lost.collect(),
        newcomers: Vec::new(),
        counters: Counters::default(),
    }
}

/// Those of the `next` snapshot's neighbours that joined a network that stood, given the
/// snapshot `before`, what time it is and when the node became active, since its start. Who
/// comes within a minute of that, or to a node alone, may be back like this node itself.
pub(crate) fn newcomers(
    before: &Snapshot,
    next: &Snapshot,
    now: Duration,
    active: Option<Duration>,
) -> Vec<Newcomer> {
    let stands = active.is_some_and(|active| now >= active + MADE_UP);
    let stands = stands && before.leaf_set.contacts().next().is_some();
    let known = |guid: Guid| before.leaf_set.contacts().any(|leaf| leaf.guid == guid);
    let back = |guid: Guid| before.lost.iter().any(|lost| lost.guid == guid);
    let of = |guid: Guid| match known(guid) {
        true => before
            .newcomers
            .iter()
            .find(|new| new.guid == guid)
            .copied(),
        false => (stands && !back(guid)).then_some(Newcomer { guid, since: now }),
    };
    let leafs = next.leaf_set.contacts();
    leafs.filter_map(|leaf| of(leaf.guid)).collect()
}

#[cfg(test)]
mod tests {
    use libp2p_identity::PeerId;

    use super::*;

    fn contact(guid: u128) -> Contact {
        Contact {
            guid: Guid::new(guid),
            peer: PeerId::random(),
            addrs: Vec::new(),
        }
    }

    fn snapshot(leafs: &[u128], lost: &[u128]) -> Snapshot {
        let lost = lost.iter().map(|guid| Lost {
            guid: Guid::new(*guid),
            since: Duration::ZERO,
        });
        Snapshot {
            state: State::Active,
            me: contact(0),
            leaf_set: LeafSet {
                smaller: Vec::new(),
                larger: leafs.iter().map(|guid| contact(*guid)).collect(),
            },
            known_arc: None,
            routing_table: Vec::new(),
            neighbourhood: Vec::new(),
            lost: lost.collect(),
            newcomers: Vec::new(),
            counters: Counters::default(),
        }
    }

    #[test]
    fn who_came_later_is_a_newcomer_and_who_is_back_is_none() {
        let at = Duration::from_secs;
        let (first, mut second) = (snapshot(&[1, 2], &[7]), snapshot(&[1, 3, 7], &[]));
        second.newcomers = newcomers(&first, &second, at(90), Some(at(30)));
        let three = Newcomer {
            guid: Guid::new(3),
            since: at(90),
        };
        assert_eq!(second.newcomers, [three]);
        let third = snapshot(&[3, 7], &[]);
        assert_eq!(newcomers(&second, &third, at(95), Some(at(30))), [three]);
        // All may have been switched on at once.
        assert_eq!(newcomers(&first, &second, at(89), Some(at(30))), []);
        assert_eq!(newcomers(&first, &second, at(90), None), []);
        let alone = snapshot(&[], &[]);
        assert_eq!(newcomers(&alone, &second, at(900), Some(at(30))), []);
    }
}
