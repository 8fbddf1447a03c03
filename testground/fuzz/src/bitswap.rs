//! Messages of bitswap (Z3 to Z5).

use ::bitswap::{MAX_ITEMS, Message, Prefix};
use bytes::Bytes;

use crate::allocated::allocated_by;

/// What reading may take besides what it was sent.
const ALLOWANCE: u64 = 64 << 10;

/// Bytes taken for each that was sent. The smallest line that is kept names a CID of an
/// identity hash in eight bytes, is a hundred bytes, and is in a list that grows by doubling.
const FACTOR: u64 = 64;

/// One message.
///
/// # Panics
///
/// When one that is accepted exceeds a bound, takes more memory than it may, or reads
/// otherwise after it was written again.
pub fn run(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let (read, took) = allocated_by(|| Message::decode(bytes));
    assert!(
        took <= ALLOWANCE + FACTOR * data.len() as u64,
        "the decoder took {took} bytes for {}",
        data.len()
    );
    let message = match read {
        Ok(message) => message,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "refused without a reason");
            return;
        }
    };
    let lists = [
        message.entries.len(),
        message.blocks.len(),
        message.presences.len(),
    ];
    assert!(lists.iter().all(|items| *items <= MAX_ITEMS), "{lists:?}");
    let content: usize = message.blocks.iter().map(|block| block.data.len()).sum();
    assert!(content <= data.len(), "more content than bytes");
    for block in &message.blocks {
        let prefix = Prefix::decode(&block.prefix.encode());
        assert_eq!(prefix, Some(block.prefix), "a prefix has two meanings");
        if let Some(cid) = block.prefix.cid(&block.data) {
            assert_eq!(Prefix::of(&cid), block.prefix, "a block of another kind");
        }
    }
    let again = Message::decode(message.encode().into());
    let known = Message {
        skipped: 0,
        ..message
    };
    assert_eq!(again, Ok(known), "a message has two meanings");
}
