//! Overlay messages as they come on a connection (P20 to P26, L17, O2).

use std::sync::LazyLock;

use libp2p_identity::{Keypair, PeerId};
use overlay_core::Config;

use crate::allocated::allocated_by;
use crate::bounds::assert_bounded;

/// What reading may take besides a multiple of what was sent. Each list of a message may
/// claim any length, and serde sets at most 1 MiB aside for it before its entries come;
/// a message has three lists.
const ALLOWANCE: u64 = (3 << 20) + (64 << 10);

/// Bytes taken for each that was sent: an entry of a list is larger in memory than its
/// smallest encoding, and lists grow by doubling.
const FACTOR: u64 = 256;

/// Who the messages of the corpus are from: the key of 32 times the byte 1.
pub static SENDER: LazyLock<PeerId> = LazyLock::new(|| peer(1));

/// The peer whose secret key is 32 times this byte.
pub fn peer(number: u8) -> PeerId {
    let key = Keypair::ed25519_from_bytes([number; 32]).expect("32 bytes are a key");
    key.public().to_peer_id()
}

/// One message.
///
/// # Panics
/// When what is accepted exceeds a bound, names a contact at a place that is not its own,
/// or does not come through encoding and reading unchanged; or when reading takes more
/// memory than was sent.
pub fn run(data: &[u8]) {
    let config = Config::default();
    let (read, took) = allocated_by(|| overlay::read_message(data, *SENDER, &config));
    assert!(
        took <= ALLOWANCE + FACTOR * data.len() as u64,
        "reading {} bytes took {took}",
        data.len()
    );
    let message = match read {
        Ok(message) => message,
        Err(rejected) => {
            assert!(!rejected.to_string().is_empty(), "refused without a reason");
            return;
        }
    };
    assert_bounded(&message, &config);
    for contact in message.contacts() {
        let known = overlay::Contact::from(contact);
        assert_eq!(known.guid, overlay::guid_of_peer(&known.peer), "a forgery");
        assert!(known.addrs.len() <= 16, "many addresses");
    }
    let encoded = wire::encode(&message);
    let again = overlay::read_message(&encoded, *SENDER, &config);
    let again = again.expect("what was accepted once is accepted again");
    assert_eq!(message, again, "a message changes on its way");
    assert_eq!(encoded, wire::encode(&again), "a message has two encodings");
}
