//! Versions of objects (J6 to J12): records, heads, names and references.

use guid::Guid;
use objects::{Heads, MAX_HEADS, MAX_HEADS_BYTES, MAX_NAME, MAX_RECORD, Name, Record, Spoken};

/// The heads of an object behind its AGUID, one record, or a text.
///
/// # Panics
/// When one that is accepted exceeds a bound, has a second encoding, or is not joined with
/// itself to itself.
pub fn run(data: &[u8]) {
    if let Some((aguid, rest)) = data.split_first_chunk::<16>() {
        heads(Guid::from_bytes(*aguid), rest);
    }
    match Record::decode(data) {
        Ok(record) => {
            assert!(data.len() <= MAX_RECORD, "a record of {} bytes", data.len());
            assert_eq!(&record.encoded()[..], data, "a record has two encodings");
            assert!(record.fields().previous.len() <= MAX_HEADS, "follows many");
            let alone = Heads::of(record.clone()).encode();
            heads(record.aguid(), &alone);
        }
        Err(error) => assert!(!error.to_string().is_empty(), "refused without a reason"),
    }
    if let Ok(text) = std::str::from_utf8(data) {
        names(text);
    }
}

fn heads(aguid: Guid, bytes: &[u8]) {
    let Ok(heads) = Heads::decode(aguid, bytes) else {
        return;
    };
    assert!(
        bytes.len() <= MAX_HEADS_BYTES,
        "heads of {} bytes",
        bytes.len()
    );
    assert_eq!(&heads.encode()[..], bytes, "heads have two encodings");
    assert!((1..=MAX_HEADS).contains(&heads.records().len()));
    assert_eq!(heads.aguid(), aguid, "another object's");
    let joined = heads.clone().join(heads.clone());
    assert_eq!(joined, heads, "a join with itself");
    assert_eq!(joined.version(), heads.version());
}

fn names(text: &str) {
    if let Ok(name) = Name::new(text) {
        assert!(
            name.as_str().len() <= MAX_NAME,
            "a name of {} bytes",
            text.len()
        );
        assert!(
            !name.as_str().chars().any(char::is_control),
            "a control character"
        );
        assert_eq!(Name::new(name.as_str()), Ok(name), "a name has two forms");
    }
    if let Err(error) = Spoken::parse(text) {
        assert!(!error.to_string().is_empty(), "refused without a reason");
    }
}
