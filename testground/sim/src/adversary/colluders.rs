//! Who the bad nodes are: each knows all others.

use std::collections::BTreeSet;

use guid::Guid;
use overlay_core::Contact;

use crate::Node;
use crate::dice::Dice;

/// All bad nodes, and contacts of nodes that do not exist.
#[derive(Clone, Debug)]
pub(super) struct Colluders {
    nodes: BTreeSet<Node>,
    /// By identifier.
    contacts: Vec<Contact<Node>>,
    phantoms: Vec<Contact<Node>>,
}

impl Colluders {
    pub(super) fn new(mut contacts: Vec<Contact<Node>>, phantoms: Vec<Contact<Node>>) -> Self {
        contacts.sort_by_key(|contact| contact.guid);
        Colluders {
            nodes: contacts.iter().map(|contact| contact.peer).collect(),
            contacts,
            phantoms,
        }
    }

    pub(super) fn has(&self, node: Node) -> bool {
        self.nodes.contains(&node)
    }

    pub(super) fn all(&self) -> &[Contact<Node>] {
        &self.contacts
    }

    pub(super) fn contact(&self, node: Node) -> Option<&Contact<Node>> {
        self.contacts.iter().find(|contact| contact.peer == node)
    }

    pub(super) fn phantoms(&self) -> &[Contact<Node>] {
        &self.phantoms
    }

    /// Any of them.
    pub(super) fn random(&self, dice: &mut Dice) -> Option<&Contact<Node>> {
        let count = self.contacts.len();
        (count > 0).then(|| &self.contacts[dice.below(count)])
    }

    /// Those closest to an identifier, closest first.
    pub(super) fn closest(&self, key: Guid, count: usize) -> Vec<Contact<Node>> {
        let at = self.contacts.partition_point(|contact| contact.guid < key);
        let all = self.contacts.len();
        // As many on either side as could be wanted, across the ring's end.
        let side = count.min(all);
        let mut near: Vec<Contact<Node>> = (0..2 * side)
            .map(|step| self.contacts[(at + all + step - side) % all.max(1)].clone())
            .collect();
        near.sort_by(|a, b| key.cmp_distance(a.guid, b.guid));
        near.dedup_by_key(|contact| contact.guid);
        near.truncate(count);
        near
    }
}
