//! Z3 to Z5: messages and prefixes.

use bitswap::{Entry, MAX_ITEMS, Malformed, Message, Payload, Prefix, Presence, WantType};
use bytes::Bytes;
use cid::Cid;
use multihash_codetable::{Code, MultihashDigest};
use proptest::collection::vec;
use proptest::prelude::*;

fn cids() -> impl Strategy<Value = Cid> {
    let codec = prop_oneof![Just(0x55u64), Just(0x70), Just(0x71), any::<u64>()];
    (any::<[u8; 8]>(), codec, any::<bool>()).prop_map(|(seed, codec, long)| {
        let code = if long { Code::Sha2_512 } else { Code::Sha2_256 };
        Cid::new_v1(codec, code.digest(&seed))
    })
}

fn entries() -> impl Strategy<Value = Entry> {
    (cids(), any::<i32>(), any::<(bool, bool, bool)>()).prop_map(|(cid, priority, flags)| Entry {
        cid,
        priority,
        cancel: flags.0,
        want: if flags.1 {
            WantType::Have
        } else {
            WantType::Block
        },
        send_dont_have: flags.2,
    })
}

fn messages() -> impl Strategy<Value = Message> {
    let block = (cids(), vec(any::<u8>(), 0..64)).prop_map(|(cid, data)| Payload {
        prefix: Prefix::of(&cid),
        data: data.into(),
    });
    let presence = (cids(), any::<bool>()).prop_map(|(cid, has)| {
        let presence = if has {
            Presence::Have
        } else {
            Presence::DontHave
        };
        (cid, presence)
    });
    let lists = (vec(entries(), 0..8), vec(block, 0..8), vec(presence, 0..8));
    (lists, any::<bool>(), any::<i32>()).prop_map(
        |((entries, blocks, presences), full, pending_bytes)| Message {
            entries,
            full,
            blocks,
            presences,
            pending_bytes,
            skipped: 0,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in messages()) {
        prop_assert_eq!(Message::decode(message.encode().into()), Ok(message));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..256)) {
        if let Ok(message) = Message::decode(bytes.into()) {
            let again = Message::decode(message.encode().into()).expect("its own encoding");
            prop_assert_eq!(again, Message { skipped: 0, ..message });
        }
    }

    #[test]
    fn a_cut_message_is_no_other_block(message in messages(), cut in any::<prop::sample::Index>()) {
        let bytes = message.encode();
        let cut = cut.index(bytes.len() + 1);
        if let Ok(read) = Message::decode(Bytes::copy_from_slice(&bytes[..cut])) {
            prop_assert!(read.blocks.len() <= message.blocks.len());
            prop_assert!(message.blocks.starts_with(&read.blocks));
        }
    }

    #[test]
    fn a_prefix_and_the_bytes_make_the_cid(data in vec(any::<u8>(), 0..256), codec in any::<u64>()) {
        let cid = Cid::new_v1(codec, Code::Sha2_256.digest(&data));
        let prefix = Prefix::decode(&Prefix::of(&cid).encode()).expect("a prefix");
        prop_assert_eq!(prefix.cid(&data), Some(cid));
    }
}

/// What kubo 0.43 writes for a want-block of the empty raw block.
#[test]
fn the_wire_is_that_of_the_specification() {
    let cid: Cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
        .parse()
        .expect("a CID");
    let mut entry = Entry::want(cid, WantType::Have);
    entry.priority = 7;
    let message = Message {
        entries: vec![entry],
        presences: vec![(cid, Presence::DontHave)],
        blocks: vec![Payload {
            prefix: Prefix::of(&cid),
            data: Bytes::from_static(b"ab"),
        }],
        ..Message::default()
    };
    let name = cid.to_bytes();
    let mut wire = vec![0x0a, 46, 0x0a, 44, 0x0a, 36];
    wire.extend_from_slice(&name);
    wire.extend_from_slice(&[0x10, 7, 0x20, 1, 0x28, 1]);
    wire.extend_from_slice(&[0x1a, 10, 0x0a, 4, 1, 0x55, 0x12, 0x20, 0x12, 2, b'a', b'b']);
    wire.extend_from_slice(&[0x22, 40, 0x0a, 36]);
    wire.extend_from_slice(&name);
    wire.extend_from_slice(&[0x10, 1]);
    assert_eq!(message.encode(), wire);
}

#[test]
fn there_is_an_end_to_what_a_message_holds() {
    // Two bytes a presence, each without a CID: passed over, and not kept.
    let many: Vec<u8> = [0x22, 0].repeat(MAX_ITEMS * 4);
    let message = Message::decode(many.into()).expect("well formed");
    assert_eq!(message.skipped, MAX_ITEMS * 4);
    assert!(message.is_empty());

    let mut name = Cid::new_v1(0x55, Code::Sha2_256.digest(b"")).to_bytes();
    let mut one = vec![0x22, name.len() as u8 + 2, 0x0a, name.len() as u8];
    one.append(&mut name);
    let most = Message::decode(one.repeat(MAX_ITEMS).into()).expect("as many as may be");
    assert_eq!(most.presences.len(), MAX_ITEMS);
    let more = Message::decode(one.repeat(MAX_ITEMS + 1).into());
    assert_eq!(more, Err(Malformed::TooMany));
}

#[test]
fn kinds_that_are_not_known_are_passed_over() {
    let data = b"bytes";
    let cut = Prefix {
        length: 20,
        ..Prefix::of(&Cid::new_v1(0x55, Code::Sha2_256.digest(data)))
    };
    assert_eq!(cut.cid(data), None, "a digest that is cut short");
    assert_eq!(
        Prefix::decode(&[1, 0x55, 0x1e, 0x20]).and_then(|blake| blake.cid(data)),
        None
    );
    assert_eq!(Prefix::decode(&[2, 0x55, 0x12, 0x20]), None, "version 2");
    assert_eq!(
        Prefix::decode(&[1, 0x55, 0x12, 0x20, 0]),
        None,
        "more than a prefix"
    );
    let hash = Code::Sha2_256.digest(data);
    let v0 = Prefix::decode(&[0, 0x70, 0x12, 0x20]).and_then(|v0| v0.cid(data));
    assert_eq!(v0, Cid::new_v0(hash).ok());
    assert_eq!(
        Prefix::decode(&[0, 0x55, 0x12, 0x20]).and_then(|v0| v0.cid(data)),
        None
    );
}
