//! Files that are cut otherwise than the profile says (U19).

use std::collections::BTreeSet;

use cid::Cid;
use unixfs::{
    Chunking, ImportError, Insert, MemoryBlocks, Options, export_to_writer, import_reader, leaf_at,
};

use crate::support::noise;

fn options(chunking: Chunking) -> Options {
    Options {
        chunking,
        ..Options::default()
    }
}

/// The leaves of a file with their lengths, in order.
async fn leaves_of(root: &Cid, blocks: &MemoryBlocks) -> Vec<(Cid, u64)> {
    let mut leaves = Vec::new();
    let mut at = 0;
    while let Some(leaf) = leaf_at(root, at, blocks).await.unwrap() {
        let size = blocks.block(&leaf).unwrap().len() as u64;
        leaves.push((leaf, size));
        at += size;
    }
    leaves
}

/// A file of these bytes, which is read back, and its leaves.
async fn cut(bytes: &[u8], chunking: Chunking) -> (Cid, Vec<(Cid, u64)>) {
    let blocks = MemoryBlocks::default();
    let file = import_reader(bytes, &blocks, &options(chunking)).await;
    let file = file.unwrap();
    let mut back = Vec::new();
    export_to_writer(&file.cid, &blocks, &mut back, 4)
        .await
        .unwrap();
    assert!(back == bytes);
    let leaves = leaves_of(&file.cid, &blocks).await;
    (file.cid, leaves)
}

#[tokio::test]
async fn what_is_inserted_leaves_the_rest_as_it_was() {
    let bytes = noise(1, 8 << 20);
    let mut changed = bytes.clone();
    changed.splice(1_000_000..1_000_000, *b"something");
    let new = async |chunking| {
        let (_, before) = cut(&bytes, chunking).await;
        let (_, after) = cut(&changed, chunking).await;
        let known: BTreeSet<_> = before.iter().collect();
        let new = after.iter().filter(|leaf| !known.contains(leaf)).count();
        (before, new)
    };
    let (leaves, new_by_content) = new(Chunking::FastCdc(65_536)).await;
    assert!(leaves.len() > 60, "{}", leaves.len());
    let (last, others) = leaves.split_last().unwrap();
    for (_, size) in others {
        assert!((16_384..=262_144).contains(size), "{size}");
    }
    assert!(last.1 <= 262_144);
    assert!(new_by_content <= 3, "{new_by_content}");
    // Cut every so many bytes, all behind it is new.
    let (leaves, new_by_size) = new(Chunking::Size(65_536)).await;
    assert_eq!(leaves.len(), 128);
    assert_eq!(new_by_size, 128 - 15 + 1);
}

/// What the file below is called. Whoever changes the library or its parameters has all files cut
/// anew.
const GOLDEN: &str = "bafybeidhkbefshqmydmg2tiyxoevcqutyusbquvy5whbx7bvnt2aug7viu";

#[tokio::test]
async fn the_cuts_are_the_same_in_every_release() {
    let (cid, leaves) = cut(&noise(7, 3_000_000), Chunking::FastCdc(262_144)).await;
    assert_eq!(leaves.iter().map(|(_, size)| size).sum::<u64>(), 3_000_000);
    assert_eq!(cid.to_string(), GOLDEN);
}

#[tokio::test]
async fn short_files_are_one_chunk_or_none() {
    for length in [0, 1, 1000, 16_384] {
        let blocks = MemoryBlocks::default();
        let bytes = noise(3, length);
        let cut = import_reader(&bytes[..], &blocks, &options(Chunking::FastCdc(65_536))).await;
        let whole = import_reader(&bytes[..], &blocks, &Options::default()).await;
        assert_eq!(cut.unwrap().cid, whole.unwrap().cid, "{length}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    for text in [
        "",
        "rabin",
        "size",
        "size-",
        "size-x",
        "fastcdc-",
        "fastcdc-1-2",
        "size--1",
    ] {
        assert!(text.parse::<Chunking>().is_err(), "{text}");
    }
    for (text, said) in [
        ("size-4095", "at least 4096 bytes"),
        ("size-2097153", "1 to 2097152"),
        ("fastcdc-4095", "4096 to 524288"),
        ("fastcdc-524296", "4096 to 524288"),
        ("fastcdc-4097", "a multiple of 8"),
    ] {
        let refused = text.parse::<Chunking>().unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    for text in ["size-4096", "size-1048576", "fastcdc-524288"] {
        assert_eq!(text.parse::<Chunking>().unwrap().to_string(), text);
    }
    let blocks = MemoryBlocks::default();
    let made = import_reader(&b"x"[..], &blocks, &options(Chunking::FastCdc(0))).await;
    assert!(matches!(made, Err(ImportError::Options(_))));
}

#[tokio::test]
async fn small_leaves_stay_small_where_a_file_is_changed_again_and_again() {
    let blocks = MemoryBlocks::default();
    let mut bytes = noise(5, 4 << 20);
    let file = import_reader(&bytes[..], &blocks, &options(Chunking::Size(262_144))).await;
    let mut root = file.unwrap().cid;
    for round in 0..40u64 {
        let at = (round * 97_003 % (4 << 20)) as usize;
        let new = noise(100 + round, 4096.min(bytes.len() - at));
        let range = at as u64..(at + new.len()) as u64;
        bytes[at..at + new.len()].copy_from_slice(&new);
        let insert = Insert::Bytes(new.into());
        let spliced = unixfs::splice(&root, range, insert, &blocks).await;
        root = spliced.unwrap().cid;
    }
    let leaves = leaves_of(&root, &blocks).await;
    let longest = leaves.iter().map(|(_, size)| *size).max().unwrap();
    assert!(longest <= 262_144, "{longest}");
    let mut back = Vec::new();
    export_to_writer(&root, &blocks, &mut back, 4)
        .await
        .unwrap();
    assert!(back == bytes);
}
