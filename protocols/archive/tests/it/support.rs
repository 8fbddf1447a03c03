//! Bytes, records and manifests to test with.

use archive::{Coder, Contents, Manifest, Rate, Root, SHARD, Segment};
use bytes::Bytes;
use cid::Cid;
use guid::Guid;
use libp2p_identity::Keypair;
use objects::{Fields, Name, Record};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use replicas::ItemId;
use sha2::{Digest, Sha256};

/// Bytes that follow from a seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A key that follows from a number.
pub(crate) fn key(number: u8) -> Keypair {
    Keypair::ed25519_from_bytes([number; 32]).unwrap()
}

/// A coded segment.
pub(crate) fn segment(needed: usize, fragments: usize, data: Vec<u8>) -> Segment {
    let rate = Rate::new(needed, fragments).unwrap();
    Segment::encode(&mut Coder::new(rate), data).unwrap()
}

/// The CID of a raw block.
pub(crate) fn raw(bytes: &[u8]) -> Cid {
    let block = blocks::Block::of(blocks::RAW, Bytes::copy_from_slice(bytes)).unwrap();
    *block.cid()
}

/// A version of `cakes/recipe.txt`.
pub(crate) fn record(owner: &Keypair, seq: u64) -> Record {
    let previous = (seq > 1).then(|| {
        let block = blocks::Block::of(blocks::DAG_CBOR, Bytes::from_static(b"\xa0")).unwrap();
        *block.cid()
    });
    let fields = Fields {
        name: Name::new("cakes/recipe.txt").unwrap(),
        seq,
        previous: previous.into_iter().collect(),
        root: Some(raw(b"eggs")),
        size: 4,
        time: 0,
        properties: None,
    };
    Record::sign(owner, fields).unwrap()
}

/// Contents of so many segments with any 2 of 4.
pub(crate) fn contents(segments: usize) -> Contents {
    let rate = Rate::new(2, 4).unwrap();
    Contents {
        rate,
        made: 1_700_000_000,
        roots: (0..segments).map(|at| -> Root { [at as u8; 32] }).collect(),
        salts: vec![0, 5, 70_000, 1],
        shard: SHARD,
        blocks: 3,
        length: (segments * rate.capacity(SHARD)) as u64 - 7,
    }
}

/// A manifest of them.
pub(crate) fn manifest(owner: &Keypair, segments: usize) -> Manifest {
    Manifest::sign(owner, record(owner, 1), contents(segments)).unwrap()
}

/// The name of a manifest for who knows the object, as anybody can write it.
pub(crate) fn by_object(aguid: Guid, seq: u64, version: [u8; 32]) -> ItemId {
    let (aguid, seq) = (aguid.to_bytes(), (!seq).to_be_bytes());
    [&[1], &aguid[..], &seq, &version].concat().into()
}

/// Where the manifests of an object are.
pub(crate) fn archives_of(aguid: Guid) -> Guid {
    let place = Sha256::new().chain_update(b"hedgerow archives\0");
    Guid::of_digest(&place.chain_update(aguid.to_bytes()).finalize())
}
