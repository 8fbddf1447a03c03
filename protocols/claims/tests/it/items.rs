//! Names and contents as they travel (CL1 to CL4).

use bytes::Bytes;
use cid::Cid;
use claims::{CLOCKS_APART, Claim, Item, ItemError, MAX_ITEM, RELEASE_LIFE, Secret};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::support::{DAY, NOW, block, claim, name, release, secret};

#[test]
fn a_tag_is_the_hash_that_the_specification_says() {
    let mut hashed = b"hedgerow/claims/1\0".to_vec();
    hashed.extend(block(1).to_bytes());
    hashed.extend(secret(2).to_bytes());
    let tag: [u8; 32] = Sha256::digest(&hashed).into();
    assert_eq!(name(1, 2).tag.to_bytes(), tag);
    assert_ne!(name(1, 2).tag, name(1, 3).tag);
    assert_ne!(name(1, 2).tag, name(2, 2).tag);
}

#[test]
fn a_name_is_the_cid_and_the_tag() {
    let bytes = name(1, 2).to_bytes();
    assert_eq!(bytes.len(), Claim::LEN);
    assert_eq!(bytes[..36], block(1).to_bytes());
    assert_eq!(bytes[36..], name(1, 2).tag.to_bytes());
    assert_eq!(Claim::from_bytes(&bytes), Some(name(1, 2)));
    assert_eq!(name(1, 2).place(), blocks::guid_of(&block(1)));
}

#[test]
fn names_of_what_is_no_block_are_refused() {
    let bytes = name(1, 2).to_bytes();
    assert_eq!(Claim::from_bytes(&bytes[..67]), None);
    assert_eq!(Claim::from_bytes(&[&bytes[..], &[0]].concat()), None);
    // A codec that blocks do not have.
    let mut other = bytes.clone();
    other[1] = 0x51;
    assert_eq!(Claim::from_bytes(&other), None);
    // Version 0 has no codec and is two bytes shorter.
    let v0: Cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
        .parse()
        .unwrap();
    assert_eq!(
        Claim::from_bytes(&Claim::of(v0, &secret(1)).to_bytes()),
        None
    );
}

#[test]
fn a_release_replaces_every_claim_and_later_ones_earlier() {
    assert_eq!(claim(1, 1).version(), 1);
    let released = release(1, 1, NOW);
    assert_eq!(released.version(), (1 << 32) + NOW / DAY);
    assert!(Item::is_release_version(release(1, 1, 0).version()));
    assert!(!Item::is_release_version(claim(1, 1).version()));
    assert!(release(1, 1, NOW + DAY).version() > released.version());
    // Whatever somebody says that the time is.
    assert!(Item::is_release_version(release(1, 1, u64::MAX).version()));
    assert!(release(1, 1, u64::MAX).check_time(NOW).is_err());
}

#[test]
fn only_who_claimed_can_release() {
    let name = name(1, 1);
    let genuine = release(1, 1, NOW).encode();
    assert_eq!(genuine.len(), MAX_ITEM);
    assert_eq!(Item::decode(name, &genuine), Ok(release(1, 1, NOW)));
    assert_eq!(Item::decode(name, b""), Ok(claim(1, 1)));
    let forged = release(1, 2, NOW).encode();
    assert_eq!(Item::decode(name, &forged), Err(ItemError::WrongSecret));
    // Nor does the secret for another block help.
    let other = release(2, 1, NOW).encode();
    assert_eq!(other, genuine);
    let of_other = Claim {
        block: block(2),
        ..name
    };
    assert_eq!(Item::decode(of_other, &other), Err(ItemError::WrongSecret));
    for length in [1, 32, 39, 41] {
        let content = Bytes::from(vec![0; length]);
        let decoded = Item::decode(name, &content);
        assert_eq!(decoded, Err(ItemError::Length { size: length }));
    }
}

#[test]
fn a_release_is_offered_within_its_time() {
    let released = release(1, 1, NOW);
    assert!(released.check_time(NOW - CLOCKS_APART).is_ok());
    let early = released.check_time(NOW - CLOCKS_APART - 1);
    assert!(matches!(early, Err(ItemError::TooFarAhead { .. })));
    let last = NOW + RELEASE_LIFE + CLOCKS_APART - 1;
    assert!(released.check_time(last).is_ok());
    let late = released.check_time(last + 1);
    assert!(matches!(late, Err(ItemError::Ended { .. })));
    assert_eq!(claim(1, 1).check_time(0), Ok(()));
}

#[test]
fn secrets_differ_and_do_not_show() {
    let (one, other) = (Secret::random(), Secret::random());
    assert!(one != other);
    assert!(Secret::from_bytes(one.to_bytes()) == one);
    assert_eq!(format!("{:?}", secret(1)), "Secret(..)");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        now in any::<u64>(),
    ) {
        if let Some(name) = Claim::from_bytes(&bytes) {
            prop_assert_eq!(name.to_bytes(), bytes.clone());
        }
        if let Ok(item) = Item::decode(name(1, 1), &bytes) {
            prop_assert_eq!(&item.encode()[..], &bytes[..]);
            let _ = item.check_time(now);
        }
    }

    /// Any CID and tag in place of the right ones.
    #[test]
    fn a_damaged_name_is_another_name_or_none(at in 0..Claim::LEN, by in 1..=u8::MAX) {
        let mut bytes = name(1, 1).to_bytes();
        bytes[at] ^= by;
        let damaged = Claim::from_bytes(&bytes);
        prop_assert_ne!(damaged, Some(name(1, 1)));
        if let Some(damaged) = damaged {
            prop_assert_eq!(damaged.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_damaged_secret_releases_nothing(at in 0..Secret::LEN, by in 1..=u8::MAX) {
        let mut content = release(1, 1, NOW).encode().to_vec();
        content[at] ^= by;
        prop_assert_eq!(Item::decode(name(1, 1), &content), Err(ItemError::WrongSecret));
    }

    #[test]
    fn any_time_has_a_version(time in any::<u64>(), now in any::<u64>()) {
        let item = release(1, 1, time);
        prop_assert!(Item::is_release_version(item.version()));
        let _ = item.check_time(now);
        prop_assert_eq!(Item::decode(name(1, 1), &item.encode()), Ok(item));
    }
}
