//! Files that become one.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use unixfs::{
    BlockSink, BlockSource, BoxError, CHUNK_SIZE, MemoryBlocks, Options, concat, import_reader,
};

use crate::support::{read, splitmix64};

const MIB: usize = CHUNK_SIZE;

async fn import(bytes: &[u8], blocks: &MemoryBlocks, options: &Options) -> Cid {
    import_reader(bytes, blocks, options).await.unwrap().cid
}

/// Counts the bytes of content that pass.
struct Counting<'a> {
    blocks: &'a MemoryBlocks,
    read: AtomicU64,
    written: AtomicU64,
}

#[async_trait]
impl BlockSource for Counting<'_> {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        let bytes = self.blocks.get(cid).await?;
        self.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

#[async_trait]
impl BlockSink for Counting<'_> {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        self.written
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.blocks.put(cid, bytes).await
    }
}

#[tokio::test]
async fn whole_chunks_give_what_an_import_of_the_whole_gives() {
    let blocks = MemoryBlocks::default();
    let options = Options::default();
    let whole = splitmix64(25 * MIB + 17);
    let mut parts = Vec::new();
    for part in whole.chunks(8 * MIB) {
        parts.push(import(part, &blocks, &options).await);
    }
    let counting = Counting {
        blocks: &blocks,
        read: AtomicU64::new(0),
        written: AtomicU64::new(0),
    };
    let made = concat(&parts, &counting).await.unwrap();
    assert_eq!(made.size, whole.len() as u64);
    assert_eq!(made.cid, import(&whole, &blocks, &options).await);
    // Nodes alone, and the one small leaf that is a part's root.
    assert!(counting.read.load(Ordering::Relaxed) < 16 * 1024);
    assert!(counting.written.load(Ordering::Relaxed) < 16 * 1024);
}

#[tokio::test]
async fn parts_of_any_length_and_shape_keep_their_order() {
    let blocks = MemoryBlocks::default();
    let options = Options::default();
    // Nodes of three links make trees of several levels.
    let narrow = Options {
        chunking: unixfs::Chunking::Size(1000),
        max_links: 3,
        ..Options::default()
    };
    let mut parts = Vec::new();
    let mut whole = Vec::new();
    for (at, size) in [0, 5, 3 * MIB + 1, 0, MIB, 20_000, 1]
        .into_iter()
        .enumerate()
    {
        let bytes = splitmix64(size + at)[at..].to_vec();
        let options = if size == 20_000 { &narrow } else { &options };
        parts.push(import(&bytes, &blocks, options).await);
        whole.extend(bytes);
    }
    let made = concat(&parts, &blocks).await.unwrap();
    assert_eq!(made.size, whole.len() as u64);
    assert!(read(&made.cid, &blocks).await.unwrap() == whole);
}

#[tokio::test]
async fn nothing_is_the_empty_file() {
    let blocks = MemoryBlocks::default();
    let empty = import(b"", &blocks, &Options::default()).await;
    assert_eq!(concat(&[], &blocks).await.unwrap().cid, empty);
    assert_eq!(concat(&[empty, empty], &blocks).await.unwrap().cid, empty);
}

#[tokio::test]
async fn a_part_that_is_not_there_is_named() {
    let blocks = MemoryBlocks::default();
    let there = import(b"there", &blocks, &Options::default()).await;
    let elsewhere = import(b"elsewhere", &MemoryBlocks::default(), &Options::default()).await;
    let error = concat(&[there, elsewhere], &blocks).await.unwrap_err();
    assert!(
        format!("{error:?}").contains(&elsewhere.to_string()),
        "{error:?}"
    );
}
