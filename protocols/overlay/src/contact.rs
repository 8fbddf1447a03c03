//! Who a node is and where it can be dialled.

use guid::Guid;
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;

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
