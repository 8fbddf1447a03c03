//! The store that fails on command does so, and loses nothing it acknowledged.

use std::sync::Arc;

use blocks::{FaultyStore, Store, StoreError};
use bytes::Bytes;

use crate::support::block;

#[tokio::test]
async fn a_crash_keeps_only_what_was_synced() {
    let store = Arc::new(FaultyStore::default());
    let (synced, lost) = (block(1, 100), block(2, 100));
    store.put(synced.clone()).await.unwrap();
    store.hold_syncs();
    let writing = tokio::spawn({
        let (store, lost) = (Arc::clone(&store), lost.clone());
        async move { store.put(lost).await }
    });
    tokio::task::yield_now().await;
    let after = store.crash();
    assert!(matches!(writing.await.unwrap(), Err(StoreError::Closed)));
    assert_eq!(
        after.get(synced.cid()).await.unwrap().as_ref(),
        Some(synced.bytes())
    );
    assert!(!after.has(lost.cid()).await.unwrap());
}

#[tokio::test]
async fn a_full_disk_and_corruption_are_reported() {
    let store = FaultyStore::default();
    let (first, second) = (block(1, 100), block(2, 100));
    store.full_at_write(2);
    store.put(first.clone()).await.unwrap();
    assert!(matches!(
        store.put(second.clone()).await,
        Err(StoreError::Full(_))
    ));
    assert!(store.has(first.cid()).await.unwrap());
    store.make_room();
    store.put(second.clone()).await.unwrap();

    store.corrupt(second.cid(), Bytes::from_static(b"rot"));
    assert!(matches!(
        store.get(second.cid()).await,
        Err(StoreError::Corrupt(_))
    ));
    assert_eq!(store.verify().await.unwrap().corrupted, [*second.cid()]);
    store.remove(second.cid()).await.unwrap();
    store.put(second.clone()).await.unwrap();
    assert_eq!(store.verify().await.unwrap().corrupted, []);
}
