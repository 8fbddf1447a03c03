//! Keys to sign with, records, stores of both kinds.

use std::sync::Arc;

use cid::Cid;
use guid::Guid;
use libp2p_identity::Keypair;
use multihash_codetable::{Code, MultihashDigest};
use objects::{Fields, FjallHeads, HeadStore, Limits, MemoryHeads, Name, Record};
use tempfile::TempDir;

/// The same key for the same number, in every run.
pub(crate) fn keypair(number: u8) -> Keypair {
    Keypair::ed25519_from_bytes([number; 32]).unwrap()
}

pub(crate) fn own() -> Guid {
    Guid::of_key(&keypair(200).public().encode_protobuf())
}

pub(crate) fn root(text: &str) -> Cid {
    Cid::new_v1(0x55, Code::Sha2_256.digest(text.as_bytes()))
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn fields(text: &str, content: &str, previous: &[&Record]) -> Fields {
    Fields {
        name: name(text),
        seq: previous.first().map_or(0, |record| record.seq()) + 1,
        previous: previous.iter().map(|record| record.vguid()).collect(),
        root: Some(root(content)),
        size: content.len() as u64,
        time: 2_000_000_000_000,
        properties: None,
    }
}

/// Key 1's version of `cat` that follows others.
pub(crate) fn version(content: &str, previous: &[&Record]) -> Record {
    Record::sign(&keypair(1), fields("cat", content, previous)).unwrap()
}

/// Both kinds of store, and what keeps one on disk.
pub(crate) fn stores(limits: Limits) -> Vec<(Arc<dyn HeadStore>, Option<TempDir>)> {
    let memory = MemoryHeads::new(own(), limits);
    let directory = TempDir::new().unwrap();
    let disk = FjallHeads::open(directory.path(), own(), limits).unwrap();
    vec![(Arc::new(memory), None), (Arc::new(disk), Some(directory))]
}
