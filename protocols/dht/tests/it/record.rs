//! The record's form, signature and bounds.

use bytes::Bytes;
use dht::{
    Item, MAX_CLOCK_SKEW, MAX_LIFETIME, MAX_RECORD, MAX_SEQ, MAX_VALUE, Record, RecordError,
    SIGNING_DOMAIN, SignError,
};
use guid::Guid;
use libp2p_identity::Keypair;
use proptest::prelude::*;
use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::support::{KEY, NOW, keypair, record, signed};

/// A record as a forger would write it: every field free.
#[derive(Clone, Serialize)]
struct Raw {
    key: Guid,
    seq: u64,
    body: Option<ByteBuf>,
    expires: u64,
    publisher: ByteBuf,
    signature: ByteBuf,
}

impl Raw {
    /// What `keypair` would sign under the domain `domain`.
    fn signed(keypair: &Keypair, domain: &[u8], value: usize) -> Raw {
        #[derive(Serialize)]
        struct Unsigned {
            key: Guid,
            seq: u64,
            body: Option<ByteBuf>,
            expires: u64,
            publisher: ByteBuf,
        }
        let raw = Raw {
            key: KEY,
            seq: 1,
            body: Some(ByteBuf::from(vec![7; value])),
            expires: NOW + 60,
            publisher: ByteBuf::from(keypair.public().encode_protobuf()),
            signature: ByteBuf::new(),
        };
        let unsigned = Unsigned {
            key: raw.key,
            seq: raw.seq,
            body: raw.body.clone(),
            expires: raw.expires,
            publisher: raw.publisher.clone(),
        };
        let mut bytes = domain.to_vec();
        bytes.extend(serde_ipld_dagcbor::to_vec(&unsigned).unwrap());
        Raw {
            signature: ByteBuf::from(keypair.sign(&bytes).unwrap()),
            ..raw
        }
    }

    fn encode(&self) -> Vec<u8> {
        serde_ipld_dagcbor::to_vec(self).unwrap()
    }
}

#[test]
fn the_wire_format_is_what_the_specification_says() {
    let raw = Raw::signed(&keypair(1), SIGNING_DOMAIN, 5);
    let record = Record::decode(&raw.encode()).unwrap();
    assert_eq!(record.key(), KEY);
    assert_eq!(record.seq(), 1);
    assert_eq!(record.value().unwrap(), &Bytes::from_static(&[7; 5]));
    assert_eq!(record.expires(), NOW + 60);
    assert_eq!(record.publisher_peer(), keypair(1).public().to_peer_id());
    let ours = Record::sign(
        &keypair(1),
        KEY,
        1,
        NOW + 60,
        Some(Bytes::from_static(&[7; 5])),
    );
    assert_eq!(ours.unwrap().encoded(), &raw.encode());
    // A map of six; "key" and its 16 bytes come first.
    assert_eq!(&record.encoded()[..6], [0xa6, 0x63, b'k', b'e', b'y', 0x50]);
}

#[test]
fn every_kind_of_key_can_publish() {
    for keypair in [Keypair::generate_secp256k1(), Keypair::generate_ecdsa()] {
        let record = Record::sign(&keypair, KEY, 3, NOW + 60, None).unwrap();
        assert_eq!(Record::decode(record.encoded()).unwrap(), record);
        assert_eq!(record.item(), Item::of(KEY, &keypair.public()));
    }
}

#[test]
fn a_forged_record_is_refused() {
    let good = Raw::signed(&keypair(1), SIGNING_DOMAIN, 5);
    let forgeries = [
        Raw {
            key: Guid::new(0x43),
            ..good.clone()
        },
        Raw {
            seq: 2,
            ..good.clone()
        },
        Raw {
            expires: NOW + 61,
            ..good.clone()
        },
        Raw {
            body: None,
            ..good.clone()
        },
        Raw {
            body: Some(ByteBuf::from(vec![8; 5])),
            ..good.clone()
        },
        Raw {
            publisher: ByteBuf::from(keypair(2).public().encode_protobuf()),
            ..good.clone()
        },
        Raw {
            signature: ByteBuf::new(),
            ..good.clone()
        },
        Raw {
            signature: ByteBuf::from(vec![0; 64]),
            ..good
        },
    ];
    for forgery in forgeries {
        assert_eq!(Record::decode(&forgery.encode()), Err(RecordError::Forged));
    }
}

#[test]
fn a_signature_for_another_purpose_is_refused() {
    for domain in [&b""[..], b"hedgerow/dht/record/2\0"] {
        let raw = Raw::signed(&keypair(1), domain, 5);
        assert_eq!(Record::decode(&raw.encode()), Err(RecordError::Forged));
    }
}

#[test]
fn a_value_of_64_kib_is_the_largest() {
    let sign = |size: usize| {
        Record::sign(
            &keypair(1),
            KEY,
            1,
            NOW + 60,
            Some(Bytes::from(vec![7; size])),
        )
    };
    let largest = sign(MAX_VALUE).unwrap();
    assert!(largest.encoded().len() <= MAX_RECORD);
    assert_eq!(Record::decode(largest.encoded()).unwrap(), largest);
    assert!(matches!(sign(MAX_VALUE + 1), Err(SignError::Value(_))));
    // From a peer that does not keep the bound itself.
    let raw = Raw::signed(&keypair(1), SIGNING_DOMAIN, MAX_VALUE + 1);
    assert!(matches!(
        Record::decode(&raw.encode()),
        Err(RecordError::Value(_))
    ));
    let huge = vec![0; MAX_RECORD + 1];
    assert!(matches!(
        Record::decode(&huge),
        Err(RecordError::TooLarge { .. })
    ));
}

#[test]
fn oversized_keys_signatures_and_numbers_are_refused() {
    let good = Raw::signed(&keypair(1), SIGNING_DOMAIN, 5);
    let raw = Raw {
        publisher: ByteBuf::from(vec![0; dht::MAX_PUBLISHER + 1]),
        ..good.clone()
    };
    assert!(matches!(
        Record::decode(&raw.encode()),
        Err(RecordError::PublisherTooLong { .. })
    ));
    let raw = Raw {
        signature: ByteBuf::from(vec![0; dht::MAX_SIGNATURE + 1]),
        ..good.clone()
    };
    assert!(matches!(
        Record::decode(&raw.encode()),
        Err(RecordError::SignatureTooLong { .. })
    ));
    let raw = Raw {
        seq: MAX_SEQ + 1,
        ..good.clone()
    };
    assert_eq!(Record::decode(&raw.encode()), Err(RecordError::SeqTooHigh));
    let raw = Raw {
        publisher: ByteBuf::from(vec![9; 36]),
        ..good
    };
    assert!(matches!(
        Record::decode(&raw.encode()),
        Err(RecordError::Publisher(_))
    ));
    let above = Record::sign(&keypair(1), KEY, MAX_SEQ + 1, NOW + 60, None);
    assert!(matches!(above, Err(SignError::SeqTooHigh)));
}

#[test]
fn a_second_encoding_of_the_same_record_is_refused() {
    let record = record(1, 60, None);
    let encoded = record.encoded();
    let mut trailing = encoded.to_vec();
    trailing.push(0);
    assert!(matches!(
        Record::decode(&trailing),
        Err(RecordError::Malformed(_))
    ));

    // The number 1 in two bytes instead of one.
    let at = encoded
        .windows(5)
        .position(|bytes| bytes == b"\x63seq\x01")
        .unwrap();
    let mut long = encoded.to_vec();
    long.splice(at + 4..at + 5, [0x18, 0x01]);
    assert!(Record::decode(&long).is_err());

    // Without the field that may be null.
    let at = encoded
        .windows(6)
        .position(|bytes| bytes == b"\x64body\xf6")
        .unwrap();
    let mut short = encoded.to_vec();
    short.drain(at..at + 6);
    short[0] = 0xa5;
    assert!(Record::decode(&short).is_err());

    // A public key with a protobuf field nobody knows: the same key by another name.
    let mut raw = Raw::signed(&keypair(1), SIGNING_DOMAIN, 5);
    raw.publisher.extend([0x18, 0x01]);
    assert!(Record::decode(&raw.encode()).is_err());
}

#[test]
fn time_is_bounded_on_both_sides() {
    let at = |expires: u64| signed(1, KEY, 1, expires, None).check_time(NOW);
    assert_eq!(
        at(NOW),
        Err(RecordError::Expired {
            expires: NOW,
            now: NOW
        })
    );
    assert_eq!(at(NOW + 1), Ok(()));
    let latest = NOW + MAX_LIFETIME + MAX_CLOCK_SKEW;
    assert_eq!(at(latest), Ok(()));
    assert!(matches!(
        at(latest + 1),
        Err(RecordError::TooFarAhead { .. })
    ));
    assert!(matches!(at(u64::MAX), Err(RecordError::TooFarAhead { .. })));
}

#[test]
fn versions_follow_the_order_of_force() {
    let mut records = [
        record(1, 60, Some("a")),
        record(1, 60, Some("b")),
        record(1, 60, None),
        record(2, 60, Some("a")),
        record(MAX_SEQ, 60, None),
    ];
    records.sort_by(Record::cmp_force);
    assert!(
        records
            .windows(2)
            .all(|pair| pair[0].version() < pair[1].version())
    );
    // Of two with one number the tombstone wins.
    assert!(records[2].is_tombstone());
    assert_eq!(records.last().map(Record::seq), Some(MAX_SEQ));
}

#[test]
fn an_item_is_its_32_bytes() {
    let item = record(1, 60, None).item();
    assert_eq!(Item::from_bytes(&item.to_bytes()), Some(item));
    assert_eq!(item.to_bytes()[..16], KEY.to_bytes());
    assert_eq!(Item::from_bytes(&[0; 31]), None);
    assert_eq!(Item::from_bytes(&[0; 33]), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_signed_is_decoded(
        key in any::<u128>(),
        seq in 0..=MAX_SEQ,
        expires in any::<u64>(),
        value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
    ) {
        let value = value.map(Bytes::from);
        let signed =
            Record::sign(&keypair(1), Guid::new(key), seq, expires, value.clone()).unwrap();
        let decoded = Record::decode(signed.encoded()).unwrap();
        prop_assert_eq!(decoded.key(), Guid::new(key));
        prop_assert_eq!(decoded.seq(), seq);
        prop_assert_eq!(decoded.expires(), expires);
        prop_assert_eq!(decoded.value(), value.as_ref());
        prop_assert_eq!(decoded.version(), signed.version());
        prop_assert_eq!(decoded, signed);
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Record::decode(&bytes).is_err());
    }

    #[test]
    fn no_byte_of_a_record_may_change(at in any::<prop::sample::Index>(), flip in 1u8..=255) {
        let record = record(5, 60, Some("value"));
        let mut bytes = record.encoded().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(Record::decode(&bytes).is_err());
    }
}
