//! What a contact is made of: the PeerId that a GUID follows from (O1), and addresses (O4).

use guid::Guid;
use libp2p_identity::{PeerId, PublicKey};

/// One byte that says which of the two, and its binary form.
///
/// # Panics
/// When a GUID is not that of the key, or addresses exceed their bounds or do not come
/// through encoding and reading unchanged.
pub fn run(data: &[u8]) {
    match data {
        [0, peer @ ..] => identity(peer),
        [_, addrs @ ..] => addresses(addrs),
        [] => {}
    }
}

fn identity(bytes: &[u8]) {
    if let Ok(peer) = PeerId::from_bytes(bytes) {
        let guid = overlay::guid_of_peer(&peer);
        let again = PeerId::from_bytes(&peer.to_bytes()).expect("its own encoding");
        assert_eq!(guid, overlay::guid_of_peer(&again), "a node has two places");
    }
    // The other way round: the place of a key does not depend on how its PeerId carries it.
    if let Ok(key) = PublicKey::try_decode_protobuf(bytes) {
        let guid = overlay::guid_of_peer(&key.to_peer_id());
        assert_eq!(guid, Guid::of_key(&key.encode_protobuf()), "not its key's");
    }
}

fn addresses(bytes: &[u8]) {
    let addrs = overlay::decode_addrs(bytes);
    assert!(addrs.len() <= 16, "{} addresses", addrs.len());
    for addr in &addrs {
        assert!(!addr.is_empty(), "an address that says nothing");
        let last = addr.to_string();
        let named = last.rsplit('/').nth(1) == Some("p2p");
        assert!(!named, "{last} names its own node");
    }
    let encoded = overlay::encode_addrs(&addrs);
    assert!(encoded.len() <= 512, "{} bytes", encoded.len());
    assert_eq!(
        overlay::decode_addrs(&encoded),
        addrs,
        "addresses change on their way"
    );
}
