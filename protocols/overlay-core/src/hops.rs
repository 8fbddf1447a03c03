//! Messages handed to a next hop that has not acknowledged them, and for whom (P10, P36).

use std::collections::BTreeMap;

use crate::{Contact, MessageId, Peer, Routed, Time};

/// A message handed to a next hop.
#[derive(Clone, Debug)]
pub(crate) struct Hop<P> {
    pub(crate) routed: Routed<P>,
    /// The hop before, unless the message is this node's own.
    pub(crate) before: Option<P>,
    /// `None` while it waits here for the leaf set to be mended.
    pub(crate) next: Option<Contact<P>>,
    pub(crate) sent: Time,
    pub(crate) tries: u32,
    /// Hops that were silent or refused.
    pub(crate) excluded: Vec<P>,
}

impl<P: Peer> Hop<P> {
    pub(crate) fn is_to(&self, peer: P) -> bool {
        self.next.as_ref().is_some_and(|next| next.peer == peer)
    }
}

/// All of them, and how many each hop before has here.
#[derive(Clone, Debug)]
pub(crate) struct Hops<P> {
    all: BTreeMap<MessageId, Hop<P>>,
    carried: BTreeMap<P, usize>,
}

impl<P> Default for Hops<P> {
    fn default() -> Self {
        Hops {
            all: BTreeMap::new(),
            carried: BTreeMap::new(),
        }
    }
}

impl<P: Peer> Hops<P> {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn get(&self, id: &MessageId) -> Option<&Hop<P>> {
        self.all.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&MessageId, &Hop<P>)> {
        self.all.iter()
    }

    /// How many a hop before has here.
    pub(crate) fn carried_for(&self, before: P) -> usize {
        self.carried.get(&before).copied().unwrap_or(0)
    }

    pub(crate) fn insert(&mut self, hop: Hop<P>) {
        self.remove(&hop.routed.id);
        if let Some(before) = hop.before {
            *self.carried.entry(before).or_default() += 1;
        }
        self.all.insert(hop.routed.id, hop);
    }

    pub(crate) fn remove(&mut self, id: &MessageId) -> Option<Hop<P>> {
        let hop = self.all.remove(id)?;
        if let Some(before) = hop.before
            && let Some(count) = self.carried.get_mut(&before)
        {
            *count -= 1;
            if *count == 0 {
                self.carried.remove(&before);
            }
        }
        Some(hop)
    }

    pub(crate) fn clear(&mut self) {
        *self = Hops::default();
    }

    pub(crate) fn check_invariants(&self) {
        let carried: usize = self.carried.values().sum();
        let others = self.all.values().filter(|hop| hop.before.is_some());
        assert_eq!(carried, others.count(), "hops are counted wrongly");
    }
}
