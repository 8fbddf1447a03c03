//! Trees narrower than the profile's, so that a few hundred leaves make many levels: every
//! change against a vector of bytes, and what other tools' blocks do below a root.

use bytes::Bytes;
use cid::Cid;
use multihash_codetable::{Code, MultihashDigest};
use proptest::prelude::*;
use unixfs::{
    Insert, MemoryBlocks, Options, SpliceError, export_range, import_reader, splice, splice_each,
    splice_with,
};

use crate::hostile::file;
use crate::support::{read, splitmix64};

const CHUNK: usize = 8;

/// What is done to a file; places and lengths are shares of what there is.
#[derive(Clone, Debug)]
enum Change {
    Insert {
        at: f64,
        bytes: usize,
        by_file: bool,
    },
    Delete {
        at: f64,
        part: f64,
    },
    Write {
        at: f64,
        bytes: usize,
    },
    Append {
        bytes: usize,
    },
    Truncate {
        to: f64,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let at = || prop_oneof![Just(0.0), Just(1.0), 0.0..1.0];
    let bytes = || prop_oneof![1usize..20, 1usize..200, Just(CHUNK), Just(33 * CHUNK)];
    prop_oneof![
        4 => (at(), bytes(), any::<bool>())
            .prop_map(|(at, bytes, by_file)| Change::Insert { at, bytes, by_file }),
        3 => (at(), 0.0..0.5).prop_map(|(at, part)| Change::Delete { at, part }),
        3 => (at(), bytes()).prop_map(|(at, bytes)| Change::Write { at, bytes }),
        2 => bytes().prop_map(|bytes| Change::Append { bytes }),
        1 => (0.0..1.0).prop_map(|to| Change::Truncate { to }),
    ]
}

impl Change {
    /// The range that goes, the number of bytes that come, and whether they come as a file.
    fn of(&self, size: usize) -> (usize, usize, usize, bool) {
        let place = |share: f64| (share * size as f64) as usize;
        match *self {
            Change::Insert { at, bytes, by_file } => (place(at), place(at), bytes, by_file),
            Change::Delete { at, part } => {
                let from = place(at);
                (from, (from + place(part)).min(size), 0, false)
            }
            Change::Write { at, bytes } => {
                let from = place(at);
                (from, (from + bytes).min(size), bytes, false)
            }
            Change::Append { bytes } => (size, size, bytes, false),
            Change::Truncate { to } => (place(to), size, 0, false),
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn narrow_trees_change_as_a_vector_does(
        size in 0usize..(100 * CHUNK),
        width in 2usize..=4,
        changes in prop::collection::vec(change(), 1..24),
        ranges in prop::collection::vec((0.0..1.0, 0.0..1.0), 4),
    ) {
        runtime().block_on(async {
            let options = Options { chunking: unixfs::Chunking::Size(CHUNK), max_links: width, ..Options::default() };
            let blocks = MemoryBlocks::default();
            let import = async |bytes: &[u8]| {
                import_reader(bytes, &blocks, &options).await.unwrap().cid
            };
            let mut model = splitmix64(size);
            let mut cid = import(&model).await;
            for (seed, change) in changes.into_iter().enumerate() {
                let (from, to, comes, by_file) = change.of(model.len());
                let mut new = splitmix64(comes);
                new.iter_mut().for_each(|byte| *byte ^= seed as u8);
                let insert = match by_file {
                    true => Insert::File(import(&new).await),
                    false => Insert::Bytes(Bytes::copy_from_slice(&new)),
                };
                let range = from as u64..to as u64;
                let made = splice_with(&cid, range, insert, &blocks, &options).await.unwrap();
                model.splice(from..to, new);
                prop_assert_eq!(made.size, model.len() as u64);
                cid = made.cid;
                // What the import of the same bytes says, by the reader that checks every
                // declared size.
                let whole = import(&model).await;
                let (ours, theirs) = (read(&cid, &blocks).await, read(&whole, &blocks).await);
                prop_assert!(ours.unwrap() == model && theirs.unwrap() == model);
                for (from, length) in &ranges {
                    let from = (from * model.len() as f64) as u64;
                    let to = from + (length * (model.len() as u64 - from) as f64) as u64;
                    let mut part = Vec::new();
                    export_range(&cid, &blocks, &mut part, from..to, 3).await.unwrap();
                    prop_assert!(part == model[from as usize..to as usize]);
                }
            }
            Ok(())
        })?;
    }

    /// Changes made together are those made one after the other, and only what the last of them
    /// leads to is stored.
    #[test]
    fn changes_together_are_changes_one_after_the_other(
        size in 0usize..(100 * CHUNK),
        width in 2usize..=4,
        groups in prop::collection::vec(prop::collection::vec(change(), 0..12), 1..6),
    ) {
        runtime().block_on(async {
            let options = Options { chunking: unixfs::Chunking::Size(CHUNK), max_links: width, ..Options::default() };
            let blocks = MemoryBlocks::default();
            let mut model = splitmix64(size);
            let mut cid = import_reader(&model[..], &blocks, &options).await.unwrap().cid;
            for (seed, group) in groups.into_iter().enumerate() {
                let mut changes = Vec::new();
                for (at, change) in group.iter().enumerate() {
                    let (from, to, comes, _) = change.of(model.len());
                    let mut new = splitmix64(comes);
                    new.iter_mut().for_each(|byte| *byte ^= (16 * seed + at) as u8);
                    let insert = Insert::Bytes(Bytes::copy_from_slice(&new));
                    changes.push((from as u64..to as u64, insert));
                    model.splice(from..to, new);
                }
                let made = splice_each(&cid, changes, &blocks, &options).await.unwrap();
                prop_assert_eq!(made.size, model.len() as u64);
                cid = made.cid;
                prop_assert!(read(&cid, &blocks).await.unwrap() == model);
            }
            Ok(())
        })?;
    }

    #[test]
    fn appending_to_a_narrow_tree_is_importing(
        size in 0usize..(70 * CHUNK),
        width in 2usize..=4,
        more in prop::collection::vec(1usize..(40 * CHUNK), 1..6),
    ) {
        runtime().block_on(async {
            let options = Options { chunking: unixfs::Chunking::Size(CHUNK), max_links: width, ..Options::default() };
            let blocks = MemoryBlocks::default();
            let mut model = splitmix64(size);
            let mut cid = import_reader(&model[..], &blocks, &options).await.unwrap().cid;
            for more in more {
                let new = splitmix64(more);
                let end = model.len() as u64;
                let insert = Insert::Bytes(Bytes::copy_from_slice(&new));
                let made = splice_with(&cid, end..end, insert, &blocks, &options).await;
                cid = made.unwrap().cid;
                model.extend(new);
                let whole = import_reader(&model[..], &blocks, &options).await.unwrap();
                prop_assert_eq!(cid, whole.cid);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn changes_at_one_place_do_not_make_a_narrow_tree_deeper_and_deeper() {
    for width in 2..=4 {
        let options = Options {
            chunking: unixfs::Chunking::Size(CHUNK),
            max_links: width,
            ..Options::default()
        };
        let blocks = MemoryBlocks::default();
        let mut model = splitmix64(64 * CHUNK);
        let whole = import_reader(&model[..], &blocks, &options).await.unwrap();
        let mut cid = whole.cid;
        for step in 0..400usize {
            let at = (step * 7_919) % model.len();
            let new = vec![step as u8; 3 * CHUNK];
            let insert = Insert::Bytes(Bytes::copy_from_slice(&new));
            let here = at as u64..at as u64;
            let made = splice_with(&cid, here, insert, &blocks, &options).await;
            model.splice(at..at, new);
            let gone = (step * 104_729) % (model.len() - 3 * CHUNK);
            let there = gone as u64..(gone + 3 * CHUNK) as u64;
            let cut = made.unwrap().cid;
            let made = splice_with(&cut, there, Insert::Nothing, &blocks, &options).await;
            model.drain(gone..gone + 3 * CHUNK);
            cid = made.unwrap().cid;
        }
        assert!(read(&cid, &blocks).await.unwrap() == model);
    }
}

#[tokio::test]
async fn what_cannot_be_a_root_stays_below_one() {
    // A tree as another tool may write it: its second leaf is hashed with SHA-512, which is
    // fine below a node, and not as the root that a version's record names.
    let blocks = MemoryBlocks::default();
    let foreign = |bytes: &'static [u8]| {
        let cid = Cid::new_v1(0x55, Code::Sha2_512.digest(bytes));
        blocks.insert(cid, Bytes::from_static(bytes));
        cid
    };
    let leaf = foreign(b"foreign");
    let root = file(&blocks, &[(foreign(b"first"), 5), (leaf, 7)], 12);
    assert_eq!(read(&root, &blocks).await.unwrap(), b"firstforeign");
    let made = splice(&root, 0..5, Insert::Nothing, &blocks).await.unwrap();
    assert_eq!(read(&made.cid, &blocks).await.unwrap(), b"foreign");
    assert_ne!(made.cid, leaf);
    assert_eq!(made.cid.hash().code(), 0x12);
    // And what is cut again becomes a leaf of our own.
    let made = splice(&made.cid, 0..1, Insert::Nothing, &blocks)
        .await
        .unwrap();
    let ours = Cid::new_v1(0x55, Code::Sha2_256.digest(b"oreign"));
    assert_eq!(made.cid, ours);
}

#[tokio::test]
async fn numbers_out_of_range_are_refused() {
    let blocks = MemoryBlocks::default();
    let hello = import_reader(&b"hello"[..], &blocks, &Options::default()).await;
    for (chunk_size, max_links) in [(0, 2), (1, 1), (1, 1 << 20)] {
        let options = Options {
            chunking: unixfs::Chunking::Size(chunk_size),
            max_links,
            ..Options::default()
        };
        let cid = hello.as_ref().unwrap().cid;
        let made = splice_with(&cid, 0..1, Insert::Nothing, &blocks, &options).await;
        assert!(matches!(made, Err(SpliceError::Options(_))));
    }
}
