//! A node's place on the ring follows from its key (O1).

use guid::Guid;
use libp2p_identity::PeerId;

/// Multihash code of "the bytes themselves".
const IDENTITY: u64 = 0x00;

/// Bytes of a SHA-256 digest.
const SHA256_LENGTH: usize = 32;

/// The GUID of the node with a PeerId: the first 128 bits of SHA-256 of its public key
/// in libp2p's protobuf encoding.
///
/// A PeerId carries short keys (Ed25519) inside itself; of longer ones it carries the
/// SHA-256. So the GUID can always be derived, and nobody can claim another.
pub fn guid_of_peer(peer: &PeerId) -> Guid {
    let multihash = peer.as_ref();
    match multihash.code() {
        // A PeerId has one of two codes; the other is SHA-256.
        code if code != IDENTITY && multihash.digest().len() == SHA256_LENGTH => {
            Guid::of_digest(multihash.digest())
        }
        // Also what claims to be a SHA-256 of another length: no key has such a PeerId,
        // so no connection ever proves it.
        _ => Guid::of_key(multihash.digest()),
    }
}
