//! Records of the hash table (D1 to D5), and the names of their places.

use dht::{Item, MAX_RECORD, MAX_SEQ, MAX_VALUE, Record};

/// One record.
///
/// # Panics
/// When one that is accepted exceeds a bound, has a second encoding, or is out of force
/// against itself.
pub fn run(data: &[u8]) {
    if let Some(item) = Item::from_bytes(data) {
        assert_eq!(&item.to_bytes()[..], data, "a place has two names");
    }
    let record = match Record::decode(data) {
        Ok(record) => record,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "refused without a reason");
            return;
        }
    };
    assert!(data.len() <= MAX_RECORD, "a record of {} bytes", data.len());
    assert!(record.seq() <= MAX_SEQ, "number {}", record.seq());
    let value = record.value().map_or(0, |value| value.len());
    assert!(value <= MAX_VALUE, "a value of {value} bytes");
    assert_eq!(&record.encoded()[..], data, "a record has two encodings");
    let again = Record::decode(record.encoded()).expect("its own encoding");
    assert!(record.cmp_force(&again).is_eq(), "against itself");
    assert_eq!(record.item(), again.item(), "a record has two places");
    assert_eq!(
        Item::from_bytes(&record.item().to_bytes()),
        Some(record.item()),
        "a place does not survive its name"
    );
}
