//! What was acknowledged is there after a crash, and what is bad is found.

use std::path::PathBuf;

use blocks::{FjallOptions, FjallStore, Store, StoreError};
use guid::Span;

use crate::support::{block, copy_dir, files};

/// Sizes on both sides of each way in: journal, ingestion, several batches.
const SIZES: [usize; 6] = [0, 1, 600, 4096, 300_000, 1 << 20];

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_blocks_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(&dir.path().join("live"), FjallOptions::default())
        .await
        .unwrap();
    let mut kept = Vec::new();
    for round in 0..3 {
        let batch: Vec<_> = (0..24)
            .map(|i| {
                block(
                    round * 100 + i,
                    SIZES[i as usize % SIZES.len()] + (round * 24 + i) as usize,
                )
            })
            .collect();
        assert_eq!(store.put_many(batch.clone()).await.unwrap(), batch.len());
        // Removed and put again: the newer fact has to win after the restart.
        assert!(store.remove(batch[3].cid()).await.unwrap());
        assert!(store.put(batch[3].clone()).await.unwrap());
        assert!(!store.put(batch[3].clone()).await.unwrap());
        kept.extend(batch);

        // The files as they are while the store runs are what a killed one leaves.
        let copy = dir.path().join(format!("copy-{round}"));
        copy_dir(&dir.path().join("live"), &copy);
        let reopened = FjallStore::open(&copy, FjallOptions::default())
            .await
            .unwrap();
        for block in &kept {
            assert_eq!(
                reopened.get(block.cid()).await.unwrap().as_ref(),
                Some(block.bytes())
            );
        }
        assert_eq!(reopened.usage(), store.usage());
        assert_eq!(reopened.usage().blocks, kept.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_use_or_of_another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path(), FjallOptions::default())
        .await
        .unwrap();
    let second = FjallStore::open(dir.path(), FjallOptions::default()).await;
    assert!(matches!(second.err(), Some(StoreError::Locked)));
    drop(store);

    let other = tempfile::tempdir().unwrap();
    {
        let database = ::fjall::Database::builder(other.path()).open().unwrap();
        let options = ::fjall::KeyspaceCreateOptions::default;
        let meta = database.keyspace("meta", options).unwrap();
        meta.insert("format", 99u32.to_be_bytes()).unwrap();
        database.persist(::fjall::PersistMode::SyncAll).unwrap();
    }
    let refused = FjallStore::open(other.path(), FjallOptions::default()).await;
    assert!(matches!(
        refused.err(),
        Some(StoreError::Format { found, known: 1 }) if found == "99"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits_on_disk_are_found_and_the_rest_stays_readable() {
    let dir = tempfile::tempdir().unwrap();
    let blocks: Vec<_> = (0..8).map(|i| block(i, 1 << 20)).collect();
    let store = FjallStore::open(dir.path(), FjallOptions::default())
        .await
        .unwrap();
    store.put_many(blocks.clone()).await.unwrap();
    drop(store);

    // In the middle of a blob file lies the content of some block.
    let in_blobs = |path: &PathBuf| path.parent().is_some_and(|dir| dir.ends_with("blobs"));
    let victim = files(dir.path()).into_iter().rfind(in_blobs).unwrap();
    let mut content = std::fs::read(&victim).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0x10;
    std::fs::write(&victim, content).unwrap();

    let store = reopen(dir.path()).await;
    let verified = store.verify().await.unwrap();
    assert_eq!(verified.checked, 8);
    assert_eq!(verified.corrupted.len(), 1);
    let bad = verified.corrupted[0];
    assert!(matches!(store.get(&bad).await, Err(StoreError::Corrupt(_))));
    // Removed and put again, as a repair from a replica does, it is whole again.
    assert!(store.remove(&bad).await.unwrap());
    let good = blocks.iter().find(|block| *block.cid() == bad).unwrap();
    assert!(store.put(good.clone()).await.unwrap());
    assert_eq!(store.verify().await.unwrap().corrupted, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_says_so_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let options = FjallOptions {
        quota: Some(1 << 20),
        ..FjallOptions::default()
    };
    let store = FjallStore::open(dir.path(), options).await.unwrap();
    let first = block(1, 700_000);
    store.put(first.clone()).await.unwrap();
    let refused = store.put(block(2, 700_000)).await;
    assert!(matches!(refused, Err(StoreError::Full(_))));
    assert_eq!(
        store.get(first.cid()).await.unwrap().as_ref(),
        Some(first.bytes())
    );
    assert!(store.put(block(3, 1000)).await.unwrap());
    assert_eq!(store.usage().blocks, 2);

    let disk = tempfile::tempdir().unwrap();
    let options = FjallOptions {
        keep_free: u64::MAX,
        ..FjallOptions::default()
    };
    let store = FjallStore::open(disk.path(), options).await.unwrap();
    assert!(matches!(store.put(first).await, Err(StoreError::Full(_))));
    assert_eq!(store.list(Span::full(), None, 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_removed_while_others_and_the_same_are_put() {
    let dir = tempfile::tempdir().unwrap();
    let options = FjallOptions {
        quota: Some(4 << 20),
        ..FjallOptions::default()
    };
    let store = FjallStore::open(dir.path(), options).await.unwrap();
    let blocks: Vec<_> = (0..600).map(|seed| block(seed, 1000)).collect();
    store.put_many(blocks.clone()).await.unwrap();
    let cids: Vec<_> = blocks.iter().map(|block| *block.cid()).collect();
    let room = store.room().await.unwrap().unwrap();
    assert_eq!(room, (4 << 20) - 600_000);
    assert_eq!(store.size(&cids[7]).await.unwrap(), Some(1000));
    // Two removals that overlap, both with names twice; puts of what they remove, and of others.
    let twice = |from: usize, to: usize| [&cids[from..to], &cids[from..to]].concat();
    let (one, other) = (twice(0, 300), twice(200, 500));
    let more: Vec<_> = (600..700).map(|seed| block(seed, 1000)).collect();
    let (first, second, again, new) = tokio::join!(
        store.remove_many(&one),
        store.remove_many(&other),
        store.put_many(blocks[250..260].to_vec()),
        store.put_many(more.clone()),
    );
    let back = again.unwrap() as u64;
    assert_eq!(new.unwrap(), 100);
    // Each was removed once, and those that came back in between perhaps once more.
    let removed = first.unwrap() + second.unwrap();
    assert!((500_000..=510_000).contains(&removed), "{removed}");
    let usage = store.usage();
    assert_eq!(usage.bytes, (600 + 100 + back) * 1000 - removed);
    assert_eq!(usage.blocks * 1000, usage.bytes);
    for block in blocks[500..].iter().chain(&more) {
        assert_eq!(
            store.get(block.cid()).await.unwrap().as_ref(),
            Some(block.bytes())
        );
    }
    // One that is whole is not removed as damaged.
    assert!(!store.remove_damaged(&cids[550]).await.unwrap());
    assert!(store.has(&cids[550]).await.unwrap());
    drop(store);
    let store = reopen(dir.path()).await;
    assert_eq!(store.usage().bytes, usage.bytes);
}

/// Opens a store that was dropped just now: its threads let go of the lock a moment later.
async fn reopen(path: &std::path::Path) -> FjallStore {
    loop {
        match FjallStore::open(path, FjallOptions::default()).await {
            Ok(store) => return store,
            Err(StoreError::Locked) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}
