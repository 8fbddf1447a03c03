//! How a person names a place on the ring.

use cid::Cid;
use guid::Guid;
use libp2p::PeerId;

/// The GUID that `text` names: 32 hexadecimal digits are the GUID itself, a CID its
/// block's GUID, a PeerId its node's GUID; any other text is a name, and its GUID
/// the hash of its UTF-8 bytes.
///
/// ```
/// let key = node::guid_of_text("10000000000000000000000000000000");
/// assert_eq!(key.as_u128(), 1 << 124);
/// assert_eq!(node::guid_of_text("printer"), guid::Guid::hash(b"printer"));
/// ```
pub fn guid_of_text(text: &str) -> Guid {
    if let Ok(guid) = text.parse::<Guid>() {
        return guid;
    }
    if let Ok(cid) = text.parse::<Cid>() {
        return Guid::of_cid(&cid.to_bytes());
    }
    if let Ok(peer) = text.parse::<PeerId>() {
        return overlay::guid_of_peer(&peer);
    }
    Guid::hash(text.as_bytes())
}
