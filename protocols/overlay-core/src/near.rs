//! The neighbourhood set: the nearest nodes by round-trip time (P4; Pastry, section 2.1).

use std::time::Duration;

use guid::Guid;

use crate::table::Entry;
use crate::{Contact, Peer};

/// The |M| nearest nodes known, nearest first.
#[derive(Clone, Debug)]
pub(crate) struct Near<P> {
    size: usize,
    entries: Vec<Entry<P>>,
}

impl<P: Peer> Near<P> {
    pub(crate) fn new(size: usize) -> Self {
        Near {
            size,
            entries: Vec::new(),
        }
    }

    pub(crate) fn entries(&self) -> &[Entry<P>] {
        &self.entries
    }

    pub(crate) fn contains(&self, guid: Guid) -> bool {
        self.entries.iter().any(|entry| entry.contact.guid == guid)
    }

    /// Whether a node this far away would find a place.
    pub(crate) fn wants(&self, rtt: Duration) -> bool {
        self.has_room() || self.entries.last().is_some_and(|last| rtt < last.rtt())
    }

    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < self.size
    }

    /// Whether hearsay of a node this far away is worth a question. A set that lost a few
    /// of its members has room for anybody, but only who is nearer than the farthest is a
    /// neighbour.
    pub(crate) fn wants_hearsay(&self, rtt: Duration) -> bool {
        self.is_sparse() || self.entries.last().is_some_and(|last| rtt < last.rtt())
    }

    /// Whether anybody will do.
    pub(crate) fn is_sparse(&self) -> bool {
        self.entries.len() < self.size / 2
    }

    /// Takes a node in if it is near enough. Returns the node that had to go.
    pub(crate) fn insert(&mut self, contact: &Contact<P>, rtt: Duration) -> Option<Contact<P>> {
        self.entries
            .retain(|entry| entry.contact.guid != contact.guid);
        let key = (rtt, contact.guid);
        let at = self
            .entries
            .partition_point(|entry| (entry.rtt(), entry.contact.guid) < key);
        if at >= self.size {
            return Some(contact.clone());
        }
        let last = (self.entries.len() >= self.size)
            .then(|| self.entries.pop())
            .flatten();
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(8);
        }
        self.entries.insert(at, Entry::new(contact.clone(), rtt));
        last.map(|entry| entry.contact)
    }

    pub(crate) fn remove(&mut self, guid: Guid) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.contact.guid != guid);
        self.entries.len() < before
    }

    pub(crate) fn check_invariants(&self) {
        assert!(
            self.entries.len() <= self.size,
            "the neighbourhood set is over its size"
        );
        assert!(
            self.entries
                .windows(2)
                .all(|pair| pair[0].rtt() <= pair[1].rtt()),
            "the neighbourhood set is out of order"
        );
    }
}
