//! Files that are changed, against a vector of bytes.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use proptest::prelude::*;
use unixfs::{
    BlockSink, BlockSource, BoxError, CHUNK_SIZE, Difference, Insert, MemoryBlocks, Options,
    SpliceError, import_reader, leaf_at, splice,
};

use crate::support::{read, splitmix64};

const MIB: usize = CHUNK_SIZE;

async fn import(bytes: &[u8], blocks: &MemoryBlocks, options: &Options) -> Cid {
    import_reader(bytes, blocks, options).await.unwrap().cid
}

/// One change: a range, as shares of the file's length, and what takes its place.
#[derive(Clone, Debug)]
struct Change {
    at: f64,
    delete: usize,
    insert: usize,
    by_file: bool,
}

fn change() -> impl Strategy<Value = Change> {
    let length = prop_oneof![
        Just(0usize),
        1usize..5_000,
        (MIB - 3)..(MIB + 3),
        1usize..(3 * MIB)
    ];
    let at = prop_oneof![Just(0.0), Just(1.0), 0.0..1.0];
    (at, length.clone(), length, any::<bool>()).prop_map(|(at, delete, insert, by_file)| Change {
        at,
        delete,
        insert,
        by_file,
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn changes_are_those_of_a_vector(
        size in 0usize..(4 * MIB),
        chunk in prop_oneof![Just(MIB), Just(256 * 1024usize)],
        width in prop_oneof![Just(1024usize), Just(2usize), Just(3usize)],
        changes in prop::collection::vec(change(), 1..8),
    ) {
        runtime().block_on(async {
            let options = Options { chunking: unixfs::Chunking::Size(chunk), max_links: width, ..Options::default() };
            let blocks = MemoryBlocks::default();
            let mut model = splitmix64(size);
            let mut cid = import(&model, &blocks, &options).await;
            for (seed, change) in changes.into_iter().enumerate() {
                let from = (change.at * model.len() as f64) as usize;
                let to = (from + change.delete).min(model.len());
                let mut new = splitmix64(change.insert);
                new.iter_mut().for_each(|byte| *byte ^= seed as u8);
                let insert = match change.by_file {
                    true => Insert::File(import(&new, &blocks, &options).await),
                    false => Insert::Bytes(Bytes::copy_from_slice(&new)),
                };
                let made = splice(&cid, from as u64..to as u64, insert, &blocks).await.unwrap();
                model.splice(from..to, new);
                prop_assert_eq!(made.size, model.len() as u64);
                cid = made.cid;
                // Read back by the reader, which checks every declared size (U12, U13).
                prop_assert!(read(&cid, &blocks).await.unwrap() == model);
            }
            Ok(())
        })?;
    }

    #[test]
    fn appending_is_importing(
        size in 0usize..(3 * MIB),
        more in prop::collection::vec(1usize..(2 * MIB), 1..4),
        width in Just(1024usize),
    ) {
        runtime().block_on(async {
            let options = Options { max_links: width, ..Options::default() };
            let blocks = MemoryBlocks::default();
            let mut model = splitmix64(size);
            let mut cid = import(&model, &blocks, &options).await;
            for more in more {
                let new = splitmix64(more);
                let end = model.len() as u64;
                let insert = Insert::Bytes(Bytes::copy_from_slice(&new));
                cid = splice(&cid, end..end, insert, &blocks).await.unwrap().cid;
                model.extend(new);
                prop_assert_eq!(cid, import(&model, &blocks, &options).await);
            }
            Ok(())
        })?;
    }
}

/// Gives one chunk of zeros for every leaf, so that a large file takes no room.
#[derive(Default)]
struct Counting {
    blocks: MemoryBlocks,
    read: AtomicU64,
    written: AtomicU64,
}

#[async_trait]
impl BlockSource for Counting {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.blocks.get(cid).await
    }
}

#[async_trait]
impl BlockSink for Counting {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.blocks.put(cid, bytes).await
    }
}

impl Counting {
    async fn counted(&self, cid: &Cid, range: Range<u64>, insert: Insert) -> (Cid, u64, u64) {
        let read = self.read.load(Ordering::Relaxed);
        let written = self.written.load(Ordering::Relaxed);
        let made = splice(cid, range, insert, self).await.unwrap();
        let written = self.written.load(Ordering::Relaxed) - written;
        assert_eq!(made.blocks, written);
        (made.cid, self.read.load(Ordering::Relaxed) - read, written)
    }
}

#[tokio::test]
async fn a_small_write_into_a_large_file_makes_a_leaf_and_the_nodes_above_it() {
    // 3,000 leaves below 3 nodes below a root: the same chunk of zeros each time.
    const LEAVES: u64 = 3_000;
    let store = Counting::default();
    let size = LEAVES * MIB as u64;
    let chunk = import(&vec![0; MIB], &store.blocks, &Options::default()).await;
    let mut cid = chunk;
    for _ in 0..12 {
        let (_, at) = (0, unixfs::stat(&cid, &store.blocks).await.unwrap().size);
        if at * 2 > size {
            break;
        }
        cid = splice(&cid, at..at, Insert::File(cid), &store.blocks)
            .await
            .unwrap()
            .cid;
    }
    let at = unixfs::stat(&cid, &store.blocks).await.unwrap().size;
    assert!(at > 1_500 * MIB as u64, "{at}");
    let bytes = || Insert::Bytes(Bytes::from(vec![7; 4096]));
    let middle = at / 2 + 12_345;
    // Over what is there: one leaf, one node, the root.
    let (_, read, written) = store.counted(&cid, middle..middle + 4096, bytes()).await;
    assert!(written <= 3 && read <= 8, "{written} written, {read} read");
    // Between: a leaf becomes two; a node that is full becomes two.
    let (_, read, written) = store.counted(&cid, middle..middle, bytes()).await;
    assert!(written <= 5 && read <= 8, "{written} written, {read} read");
    // Nearly all of it away: what is deleted is not read.
    let (short, read, written) = store
        .counted(&cid, 1_000..at - 1_000, Insert::Nothing)
        .await;
    assert!(written <= 3 && read <= 12, "{written} written, {read} read");
    assert_eq!(unixfs::stat(&short, &store).await.unwrap().size, 2_000);
}

#[tokio::test]
async fn many_small_insertions_leave_few_leaves() {
    let blocks = MemoryBlocks::default();
    let mut model = splitmix64(2 * MIB);
    let mut cid = import(&model, &blocks, &Options::default()).await;
    for step in 0..600usize {
        let at = (step * 7_919) % model.len();
        let new = vec![step as u8; 5_000];
        let insert = Insert::Bytes(Bytes::copy_from_slice(&new));
        let range = at as u64..at as u64;
        cid = splice(&cid, range, insert, &blocks).await.unwrap().cid;
        model.splice(at..at, new);
    }
    assert!(read(&cid, &blocks).await.unwrap() == model);
    let links = unixfs::stat(&cid, &blocks).await.unwrap().links;
    // Half full on average at the worst.
    let most = 2 * model.len().div_ceil(MIB) + 1;
    assert!(links <= most, "{links} leaves of {} bytes", model.len());
}

#[tokio::test]
async fn ranges_beyond_the_end_are_refused() {
    let blocks = MemoryBlocks::default();
    let cid = import(b"hello", &blocks, &Options::default()).await;
    #[allow(clippy::reversed_empty_ranges)]
    for range in [6..6, 0..6, 3..2] {
        let error = splice(&cid, range, Insert::Nothing, &blocks).await;
        assert!(matches!(error, Err(SpliceError::BeyondEnd { size: 5, .. })));
    }
    // To nothing, and from nothing.
    let empty = splice(&cid, 0..5, Insert::Nothing, &blocks).await.unwrap();
    assert_eq!(empty.cid, import(b"", &blocks, &Options::default()).await);
    let insert = Insert::Bytes(Bytes::from_static(b"hello"));
    let again = splice(&empty.cid, 0..0, insert, &blocks).await.unwrap();
    assert_eq!(again.cid, cid);
}

#[tokio::test]
async fn differences_are_found_without_reading_what_is_equal() {
    let store = Counting::default();
    let bytes = splitmix64(5 * MIB + 10);
    let cid = import(&bytes, &store.blocks, &Options::default()).await;
    let at = 2 * MIB as u64 + 5;
    let insert = Insert::Bytes(Bytes::from_static(b"four"));
    let changed = splice(&cid, at..at + 4, insert, &store).await.unwrap().cid;
    let before = store.read.load(Ordering::Relaxed);
    let found = unixfs::diff(&cid, &changed, &store).await.unwrap();
    let leaf = Difference {
        offset: 2 * MIB as u64,
        length: MIB as u64,
    };
    assert_eq!(found, [leaf]);
    // The two roots, to see what they are and to open them.
    assert_eq!(store.read.load(Ordering::Relaxed) - before, 4);
    assert_eq!(unixfs::diff(&cid, &cid, &store).await.unwrap(), []);
    // A longer one differs from where the shorter ends on.
    let end = bytes.len() as u64;
    let insert = Insert::Bytes(Bytes::from(vec![1; MIB]));
    let longer = splice(&cid, end..end, insert, &store).await.unwrap().cid;
    let found = unixfs::diff(&cid, &longer, &store).await.unwrap();
    let tail = Difference {
        offset: 5 * MIB as u64,
        length: MIB as u64 + 10,
    };
    assert_eq!(found, [tail]);

    let leaf = leaf_at(&cid, MIB as u64, &store).await.unwrap();
    assert_eq!(leaf, leaf_at(&changed, MIB as u64, &store).await.unwrap());
    assert!(leaf.is_some());
    assert_eq!(leaf_at(&cid, 5, &store).await.unwrap(), None);
    assert_eq!(leaf_at(&cid, end, &store).await.unwrap(), None);
}
