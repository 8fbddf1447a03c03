//! Records: one encoding, bounds, signatures.

use std::collections::BTreeMap;

use guid::Guid;
use ipld_core::ipld::Ipld;
use objects::{Fields, MAX_HEADS, MAX_NAME, MAX_RECORD, MAX_SEQ, Name, Record, RecordError};
use proptest::prelude::*;

use crate::support::{fields, keypair, name, root, version};

fn map(record: &Record) -> BTreeMap<String, Ipld> {
    match serde_ipld_dagcbor::from_slice(record.encoded()).unwrap() {
        Ipld::Map(map) => map,
        other => panic!("a map, not {other:?}"),
    }
}

fn encode(map: BTreeMap<String, Ipld>) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(&Ipld::Map(map)).unwrap()
}

#[test]
fn a_record_is_what_it_says_and_named_by_its_owner() {
    let first = version("one", &[]);
    let second = version("two", &[&first]);
    assert_eq!(Record::decode(second.encoded()), Ok(second.clone()));
    assert_eq!(second.seq(), 2);
    assert_eq!(second.fields().previous, [first.vguid()]);
    assert_eq!(second.author_peer(), keypair(1).public().to_peer_id());
    let key = keypair(1).public().encode_protobuf();
    assert_eq!(second.aguid(), Guid::of_name(&key, "cat"));
    // The fields of the page, and no others; what is for later is there and null.
    let map = map(&second);
    let keys: Vec<&str> = map.keys().map(String::as_str).collect();
    let mut wanted = vec![
        "v",
        "seq",
        "name",
        "root",
        "size",
        "tier",
        "time",
        "aguid",
        "author",
        "cipher",
        "writers",
        "previous",
        "signature",
    ];
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
    for later in ["tier", "cipher", "writers"] {
        assert_eq!(map[later], Ipld::Null);
    }
    // Links, which every IPLD tool follows.
    assert_eq!(map["root"], Ipld::Link(root("two")));
    assert_eq!(map["previous"], Ipld::List(vec![Ipld::Link(first.vguid())]));
}

#[test]
fn a_record_with_properties_has_one_field_more_and_its_own_format() {
    let first = version("one", &[]);
    let plain = fields("cat", "two", &[&first]);
    let described = Fields {
        properties: Some(first.vguid()),
        ..plain.clone()
    };
    let record = Record::sign(&keypair(1), described.clone()).unwrap();
    let read = Record::decode(record.encoded()).unwrap();
    assert_eq!(read.fields(), &described);
    assert_eq!(read.properties(), Some(first.vguid()));
    let fields_of = map(&record);
    assert_eq!(fields_of["v"], Ipld::Integer(2));
    assert_eq!(fields_of["properties"], Ipld::Link(first.vguid()));
    // A removal may say why.
    let removal = Fields {
        root: None,
        size: 0,
        ..described.clone()
    };
    let removal = Record::sign(&keypair(1), removal).unwrap();
    assert!(Record::decode(removal.encoded()).unwrap().is_removal());
    // Neither format has what belongs to the other, and nothing is there and null.
    let refused = |field: &str, value: Ipld| {
        let mut map = fields_of.clone();
        map.insert(field.to_owned(), value);
        Record::decode(&encode(map)).unwrap_err()
    };
    let one = refused("v", Ipld::Integer(1));
    assert!(matches!(one, RecordError::Malformed(_)), "{one}");
    let null = refused("properties", Ipld::Null);
    assert!(matches!(null, RecordError::Malformed(_)), "{null}");
    let other = refused("properties", Ipld::Link(root("two")));
    assert_eq!(other, RecordError::Cid("what its properties are"));
    let mut null = map(&Record::sign(&keypair(1), plain.clone()).unwrap());
    null.insert("properties".to_owned(), Ipld::Null);
    assert_eq!(
        Record::decode(&encode(null)),
        Err(RecordError::NotCanonical)
    );
    let no_block = Fields {
        properties: Some(root("two")),
        ..plain
    };
    assert!(Record::sign(&keypair(1), no_block).is_err());
}

/// A signature by one of these can be made into another by anybody.
#[test]
fn keys_of_other_kinds_own_nothing() {
    let key = libp2p_identity::Keypair::generate_ecdsa();
    let refused = Record::sign(&key, fields("cat", "one", &[])).unwrap_err();
    assert!(refused.to_string().contains("only Ed25519"), "{refused}");
    // Nor where somebody signs all the same.
    let mut map = map(&version("one", &[]));
    let author = key.public().encode_protobuf();
    let aguid = Guid::of_name(&author, "cat").to_bytes().to_vec();
    map.insert("aguid".to_owned(), Ipld::Bytes(aguid));
    map.insert("author".to_owned(), Ipld::Bytes(author));
    let refused = Record::decode(&encode(map)).unwrap_err();
    assert!(refused.to_string().contains("only Ed25519"), "{refused}");
}

#[test]
fn what_is_changed_or_cut_off_is_refused() {
    let record = version("one", &[]);
    let bytes = record.encoded();
    for length in 0..bytes.len() {
        assert!(Record::decode(&bytes[..length]).is_err(), "{length}");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        assert!(Record::decode(&changed).is_err(), "{at}");
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert!(Record::decode(&longer).is_err());
    let huge = vec![0; MAX_RECORD + 1];
    let size = huge.len();
    assert_eq!(Record::decode(&huge), Err(RecordError::TooLarge { size }));
}

#[test]
fn each_rule_has_its_reason() {
    let record = version("one", &[]);
    let refused = |field: &str, value: Ipld| {
        let mut map = map(&record);
        map.insert(field.to_owned(), value);
        Record::decode(&encode(map)).unwrap_err()
    };
    let text = |text: &str| Ipld::String(text.to_owned());
    assert_eq!(
        refused("v", Ipld::Integer(3)),
        RecordError::Newer("another format")
    );
    assert!(matches!(
        refused("tier", text("ring")),
        RecordError::Newer(_)
    ));
    assert!(matches!(
        refused("cipher", text("x")),
        RecordError::Newer(_)
    ));
    assert!(matches!(
        refused("writers", Ipld::List(vec![])),
        RecordError::Newer(_)
    ));
    assert_eq!(refused("seq", Ipld::Integer(0)), RecordError::Seq);
    assert!(matches!(
        refused("seq", Ipld::Integer(2)),
        RecordError::Previous(_)
    ));
    assert!(matches!(
        refused("name", text("a/../b")),
        RecordError::Name(_)
    ));
    assert_eq!(refused("name", text("dog")), RecordError::NotTheirs);
    assert_eq!(
        refused("aguid", Ipld::Bytes(vec![7; 16])),
        RecordError::NotTheirs
    );
    assert_eq!(refused("size", Ipld::Integer(9)), RecordError::Forged);
    assert_eq!(
        refused("root", Ipld::Link(record.vguid())),
        RecordError::Cid("the root")
    );
    let other = keypair(2).public().encode_protobuf();
    assert_eq!(
        refused("author", Ipld::Bytes(other)),
        RecordError::NotTheirs
    );
    let long = Ipld::Bytes(vec![0; 1_101]);
    assert_eq!(
        refused("author", long),
        RecordError::AuthorTooLong { size: 1_101 }
    );
    let long = Ipld::Bytes(vec![0; 1_025]);
    assert_eq!(
        refused("signature", long),
        RecordError::SignatureTooLong { size: 1_025 }
    );
    assert!(matches!(
        refused("more", Ipld::Null),
        RecordError::Malformed(_)
    ));
}

#[test]
fn what_contradicts_itself_is_not_signed() {
    let first = version("one", &[]);
    let good = fields("cat", "two", &[&first]);
    for bad in [
        Fields {
            seq: 0,
            ..good.clone()
        },
        Fields {
            seq: MAX_SEQ + 1,
            ..good.clone()
        },
        Fields {
            seq: 1,
            ..good.clone()
        },
        Fields {
            previous: vec![],
            ..good.clone()
        },
        Fields {
            previous: vec![first.vguid(); 2],
            ..good.clone()
        },
        Fields {
            previous: vec![root("no record")],
            ..good.clone()
        },
        Fields {
            root: Some(first.vguid()),
            ..good.clone()
        },
        Fields {
            root: None,
            ..good.clone()
        },
    ] {
        assert!(Record::sign(&keypair(1), bad.clone()).is_err(), "{bad:?}");
    }
}

#[test]
fn the_largest_record_is_within_the_bound() {
    let branches: Vec<Record> = (0..MAX_HEADS)
        .map(|at| version(&at.to_string(), &[]))
        .collect();
    let branches: Vec<&Record> = branches.iter().collect();
    let mut largest = fields("cat", "content", &branches);
    largest.name = Name::new(&"n".repeat(MAX_NAME)).unwrap();
    (largest.size, largest.time) = (u64::MAX, u64::MAX);
    largest.properties = Some(branches[0].vguid());
    let record = Record::sign(&keypair(1), largest).unwrap();
    // With the longest key and signature there are, instead of Ed25519's.
    let rest = record.encoded().len() - 36 - 64;
    assert!(
        rest + objects::MAX_AUTHOR + objects::MAX_SIGNATURE <= MAX_RECORD,
        "{rest}"
    );
    assert_eq!(Record::decode(record.encoded()), Ok(record));
}

proptest! {
    #[test]
    fn records_survive_their_encoding(
        text in "[a-z][^\u{0}-\u{1f}\u{7f}-\u{9f}/@]{0,40}x",
        content in ".*",
        size in any::<u64>(),
        time in any::<u64>(),
        follows in 0usize..4,
        key in 1u8..10,
    ) {
        let before: Vec<Record> = (0..follows).map(|at| version(&at.to_string(), &[])).collect();
        let before: Vec<&Record> = before.iter().collect();
        let fields = Fields { name: name(&text), size, time, ..fields("cat", &content, &before) };
        let record = Record::sign(&keypair(key), fields.clone()).unwrap();
        prop_assert_eq!(record.fields(), &fields);
        let read = Record::decode(record.encoded()).unwrap();
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(read.vguid(), record.vguid());
        prop_assert_eq!(read.aguid(), record.aguid());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Record::decode(&bytes).is_err());
        prop_assert!(objects::Heads::decode(Guid::new(1), &bytes).is_err());
    }
}
