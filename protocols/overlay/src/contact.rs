//! Who a node is and where it can be dialled.

use guid::Guid;
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;

use crate::addrs;

/// A node of the overlay: its place on the ring, its libp2p identity and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Place on the ring: the first 128 bits of SHA-256 of the encoded public key.
    pub guid: Guid,
    /// The libp2p identity that proves the GUID.
    pub peer: PeerId,
    /// Addresses under which the node says it can be dialled, best first.
    pub addrs: Vec<Multiaddr>,
}

impl From<&overlay_core::Contact<PeerId>> for Contact {
    fn from(contact: &overlay_core::Contact<PeerId>) -> Self {
        Self {
            guid: contact.guid,
            peer: contact.peer,
            addrs: addrs::decode(contact.addrs.as_bytes()),
        }
    }
}
