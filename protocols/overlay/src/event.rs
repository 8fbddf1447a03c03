//! What the behaviour tells the owner of the swarm.

use libp2p_identity::PeerId;

/// Something the owner of the swarm may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The node is looking for its place.
    Joining,
    /// The node is a member.
    Active,
    /// The node has left.
    Left,
    /// Nodes entered or left the leaf set.
    LeafSetChanged,
    /// A peer is not talked to for a while.
    PeerRefused {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: RefusalReason,
    },
}

/// Why a peer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// It named a node by a GUID that is not that of its key (O2).
    #[error("it sent a contact whose GUID does not belong to its key")]
    ForgedContact,
    /// It gave itself out as another peer (O2).
    #[error("it sent a message in the name of another peer")]
    NotItself,
    /// It keeps sending what is not a message (O3).
    #[error("it keeps sending messages that are not valid")]
    Garbage,
}
