//! What the owner signs, and what is refused.

use archive::{Contents, MAX_MANIFEST, MAX_SEGMENTS, Manifest, ManifestError, Rate, SHARD};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::support::{contents, key, manifest, record};

/// The map as anybody could write it.
#[derive(Clone, Serialize, Deserialize)]
struct Raw {
    m: u64,
    n: u64,
    v: u64,
    made: u64,
    roots: ByteBuf,
    salts: Vec<u64>,
    shard: u64,
    blocks: u64,
    length: u64,
    record: ByteBuf,
    signature: ByteBuf,
}

fn raw(manifest: &Manifest) -> Raw {
    serde_ipld_dagcbor::from_slice(manifest.encoded()).unwrap()
}

fn decode(raw: &Raw) -> Result<Manifest, ManifestError> {
    Manifest::decode(&serde_ipld_dagcbor::to_vec(raw).unwrap())
}

#[test]
fn it_is_read_as_it_was_signed() {
    for segments in [1, 2, 40] {
        let signed = manifest(&key(1), segments);
        let read = Manifest::decode(signed.encoded()).unwrap();
        assert_eq!(read, signed);
        assert_eq!(read.contents(), &contents(segments));
        assert_eq!(read.version(), signed.version());
        assert_eq!(read.fragment(0, 3), signed.fragment(0, 3));
        assert_eq!(decode(&raw(&signed)).unwrap(), signed);
    }
}

#[test]
fn the_largest_one_fits() {
    let owner = key(1);
    let rate = Rate::new(32, 64).unwrap();
    let contents = Contents {
        rate,
        made: (1 << 40) - 1,
        roots: vec![[255; 32]; MAX_SEGMENTS],
        salts: vec![u32::MAX; 64],
        shard: SHARD,
        blocks: archive::MAX_BLOCKS,
        length: (rate.capacity(SHARD) * MAX_SEGMENTS) as u64,
    };
    let signed = Manifest::sign(&owner, record(&owner, 1), contents.clone()).unwrap();
    assert!(signed.encoded().len() < MAX_MANIFEST);
    assert!(Manifest::decode(signed.encoded()).is_ok());
    let mut more = contents;
    more.roots.push([0; 32]);
    more.length += 1;
    assert!(Manifest::sign(&owner, record(&owner, 1), more).is_err());
}

#[test]
fn only_the_owner_signs() {
    let owner = key(1);
    let stranger = Manifest::sign(&key(2), record(&owner, 1), contents(1));
    assert!(stranger.is_err());
    // A stranger's signature in the place of the owner's, and the owner's under another record.
    let (mine, theirs) = (raw(&manifest(&owner, 1)), raw(&manifest(&key(2), 1)));
    let forged = Raw {
        signature: theirs.signature.clone(),
        ..mine.clone()
    };
    assert!(matches!(decode(&forged), Err(ManifestError::Forged)));
    let moved = Raw {
        record: ByteBuf::from(record(&owner, 2).encoded().to_vec()),
        ..mine
    };
    assert!(matches!(decode(&moved), Err(ManifestError::Forged)));
}

#[test]
fn what_is_out_of_bounds_is_refused_before_anything_is_made_of_it() {
    let good = raw(&manifest(&key(1), 3));
    let change = |change: fn(&mut Raw)| {
        let mut bad = good.clone();
        change(&mut bad);
        decode(&bad)
    };
    type Case = (&'static str, fn(&mut Raw));
    let cases: [Case; 14] = [
        ("format", |raw| raw.v = 2),
        ("m", |raw| raw.m = 0),
        ("m as n", |raw| raw.m = 4),
        ("n", |raw| raw.n = 65),
        ("huge n", |raw| raw.n = u64::MAX),
        ("time", |raw| raw.made = 1 << 40),
        ("roots", |raw| raw.roots.truncate(95)),
        ("fewer roots", |raw| raw.roots.truncate(64)),
        ("salts", |raw| raw.salts.truncate(3)),
        ("large salt", |raw| raw.salts[0] = 1 << 32),
        ("shard", |raw| raw.shard = SHARD as u64 + 2),
        ("odd shard", |raw| raw.shard -= 1),
        ("blocks", |raw| raw.blocks = 0),
        ("length", |raw| raw.length = u64::MAX),
    ];
    for (what, case) in cases {
        assert!(change(case).is_err(), "{what}");
    }
    assert!(change(|raw| raw.record.truncate(20)).is_err());
    assert!(change(|raw| raw.signature = ByteBuf::new()).is_err());
    assert!(change(|_| ()).is_ok());
    let long = vec![0; MAX_MANIFEST + 1];
    assert!(matches!(
        Manifest::decode(&long),
        Err(ManifestError::TooLarge(_))
    ));
}

#[test]
fn it_has_one_encoding() {
    let bytes = manifest(&key(1), 1).encoded().to_vec();
    let more = [&bytes[..], &[0]].concat();
    assert!(Manifest::decode(&more).is_err());
    // A number that is longer than it need be: `m` is the first field, and small.
    let at = bytes
        .windows(3)
        .position(|at| at == [0x61, b'm', 2])
        .unwrap();
    let mut longer = bytes;
    longer.splice(at + 2..at + 3, [0x18, 2]);
    assert!(Manifest::decode(&longer).is_err());
}

#[test]
fn archived_again_the_later_one_replaces_the_earlier_one() {
    let owner = key(1);
    let sign = |made| {
        let contents = Contents {
            made,
            ..contents(1)
        };
        Manifest::sign(&owner, record(&owner, 1), contents).unwrap()
    };
    let (earlier, later) = (sign(1_700_000_000), sign(1_700_000_001));
    assert!(earlier.version() < later.version());
    // And their fragments are not each other's.
    assert_ne!(earlier.place_of(0), later.place_of(0));
}

proptest! {
    #[test]
    fn no_changed_byte_passes(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = manifest(&key(1), 2).encoded().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(Manifest::decode(&bytes).is_err());
    }

    #[test]
    fn anything_at_all_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(Manifest::decode(&bytes).is_err());
    }
}
