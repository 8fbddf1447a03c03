//! Copies that can be dropped (B10 to B12).

use std::path::Path;
use std::sync::Arc;

use blocks::{Block, Blocks, Cache, MemoryStore};
use guid::Span;
use replicas::{Collection, ItemId};

use crate::support::block;

const LENGTH: usize = 1000;

fn open(directory: &Path, blocks: u64) -> Arc<Cache> {
    let limit = blocks * LENGTH as u64;
    Arc::new(Cache::open(directory.to_owned(), limit, 0).unwrap())
}

async fn put(cache: &Arc<Cache>, block: &Block) -> blocks::Written {
    cache.put(*block.cid(), block.bytes().clone()).await
}

#[tokio::test]
async fn the_block_used_longest_ago_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let cache = open(directory.path(), 3);
    let all: Vec<Block> = (0..4).map(|seed| block(seed, LENGTH)).collect();
    for block in &all[..3] {
        let written = put(&cache, block).await;
        assert!(written.kept && written.dropped.is_empty());
    }
    // Read, the first one is the last to go.
    assert_eq!(cache.get(all[0].cid()).await.as_ref(), Some(all[0].bytes()));
    let written = put(&cache, &all[3]).await;
    assert!(written.kept);
    assert_eq!(written.dropped, [*all[1].cid()]);
    assert_eq!(cache.get(all[1].cid()).await, None);
    for kept in [0, 2, 3] {
        let bytes = cache.get(all[kept].cid()).await;
        assert_eq!(bytes.as_ref(), Some(all[kept].bytes()));
    }
    let usage = cache.usage();
    assert_eq!((usage.blocks, usage.bytes), (3, 3 * LENGTH as u64));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);

    // Putting one again changes nothing but the order.
    put(&cache, &all[0]).await;
    assert_eq!(cache.newest(1), [*all[0].cid()]);
    assert_eq!(cache.usage(), usage);
    assert!(cache.remove(all[0].cid()).await);
    assert!(!cache.remove(all[0].cid()).await);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn what_has_no_room_is_not_kept_and_drops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cache = open(directory.path(), 3);
    put(&cache, &block(1, LENGTH)).await;
    let written = put(&cache, &block(2, 3 * LENGTH + 1)).await;
    assert_eq!(written, blocks::Written::default());
    assert_eq!(cache.usage().blocks, 1);

    // A disk on which nothing is to be free has no room either.
    let full = Cache::open(directory.path().to_owned(), 1 << 20, u64::MAX).unwrap();
    let written = put(&Arc::new(full), &block(3, 10)).await;
    assert!(!written.kept);
}

#[tokio::test]
async fn a_damaged_copy_was_never_there() {
    let directory = tempfile::tempdir().unwrap();
    let cache = open(directory.path(), 3);
    let (changed, gone) = (block(1, LENGTH), block(2, LENGTH));
    put(&cache, &changed).await;
    put(&cache, &gone).await;
    let file = |block: &Block| directory.path().join(block.cid().to_string());
    let mut bytes = changed.bytes().to_vec();
    bytes[LENGTH / 2] ^= 1;
    std::fs::write(file(&changed), bytes).unwrap();
    std::fs::remove_file(file(&gone)).unwrap();
    for block in [&changed, &gone] {
        assert_eq!(cache.get(block.cid()).await, None);
    }
    assert_eq!((cache.usage().blocks, cache.usage().bytes), (0, 0));
    assert!(!file(&changed).exists());
    // There is room for it again.
    assert!(put(&cache, &changed).await.kept);
    assert_eq!(
        cache.get(changed.cid()).await.as_ref(),
        Some(changed.bytes())
    );
}

#[tokio::test]
async fn a_cache_opened_again_has_what_it_had_as_far_as_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let all: Vec<Block> = (0..3).map(|seed| block(seed, LENGTH)).collect();
    let cache = open(directory.path(), 3);
    for block in &all {
        put(&cache, block).await;
    }
    drop(cache);
    let path = |name: &str| directory.path().join(name);
    // A write that a crash cut short, and a file of somebody else.
    std::fs::write(path(&all[0].cid().to_string()), b"half").unwrap();
    std::fs::write(path("README"), b"not a block").unwrap();
    let cache = open(directory.path(), 3);
    assert_eq!(cache.usage().blocks, 3);
    assert_eq!(cache.get(all[0].cid()).await, None);
    put(&cache, &all[0]).await;
    for block in &all {
        assert_eq!(cache.get(block.cid()).await.as_ref(), Some(block.bytes()));
    }
    drop(cache);
    let cache = open(directory.path(), 1);
    assert_eq!(cache.usage().blocks, 1);
    let mut left: Vec<String> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["README".to_owned(), cache.newest(1)[0].to_string()]);
}

#[tokio::test]
async fn a_copy_is_read_and_is_no_replica() {
    let directory = tempfile::tempdir().unwrap();
    let cache = open(directory.path(), 2);
    let blocks = Blocks::with_cache(Arc::new(MemoryStore::new()), Some(Arc::clone(&cache)));
    let id_of = |block: &Block| ItemId::from(block.cid().to_bytes());
    let all: Vec<Block> = (0..3).map(|seed| block(seed, LENGTH)).collect();
    for block in &all[..2] {
        assert!(
            blocks
                .cache(&id_of(block), block.bytes().clone())
                .await
                .kept
        );
    }
    let id = id_of(&all[0]);
    let got = blocks.get(&id).await.unwrap();
    assert_eq!(got.as_ref(), Some(all[0].bytes()));
    // Whoever asks whether this node does its duty is told the truth.
    assert_eq!(blocks.version(&id).await.unwrap(), None);
    let listed = blocks.list(Span::full(), None, 10).await.unwrap();
    assert!(listed.is_empty());
    let newest_first = [id_of(&all[0]), id_of(&all[1])];
    assert_eq!(blocks.cached(10).await, newest_first);

    // What is dropped is named.
    let third = blocks.cache(&id_of(&all[2]), all[2].bytes().clone()).await;
    assert_eq!(third.dropped, [id_of(&all[1])]);

    // A block that is put for good needs no copy that can be dropped.
    blocks.put(&id, all[0].bytes().clone()).await.unwrap();
    assert_eq!(cache.get(all[0].cid()).await, None);
    assert_eq!(blocks.version(&id).await.unwrap(), Some(0));
    let again = blocks.cache(&id, all[0].bytes().clone()).await;
    assert!(!again.kept);
}
