//! What the store on disk keeps over a restart, and what it refuses.

use std::path::Path;
use std::sync::Arc;

use dht::{FORMAT, FjallRecords, Limits, Outcome, RecordStore};
use guid::Span;
use replicas::StoreError;
use tempfile::TempDir;

use crate::support::{TestClock, own, record};

fn open(path: &Path, clock: &TestClock) -> Result<FjallRecords, StoreError> {
    FjallRecords::open(path, own(), Limits::default(), Arc::new(clock.clone()))
}

#[tokio::test]
async fn acknowledged_records_are_there_after_reopening() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let (kept, removed) = (record(7, 1_000, Some("value")), record(8, 60, None));
    let store = open(directory.path(), &clock).unwrap();
    store.put(kept.clone()).await.unwrap();
    let usage = store.usage();
    drop(store);

    let store = open(directory.path(), &clock).unwrap();
    assert_eq!(store.usage(), usage);
    assert_eq!(store.get(kept.item()).await.unwrap(), Some(kept.clone()));
    store.put(removed.clone()).await.unwrap();
    clock.advance(61);
    store.sweep().await.unwrap();
    drop(store);

    // What only the memory of a number held back is still held back.
    let store = open(directory.path(), &clock).unwrap();
    let replayed = store.put(kept.clone()).await.unwrap();
    assert_eq!(
        replayed,
        Outcome {
            version: removed.version(),
            new: false
        }
    );
    assert!(store.list(Span::full(), None, 10).await.unwrap().is_empty());
}

/// The files as they are while the store is open and nothing was closed: what a crash
/// leaves behind once the disk has what was synced.
#[tokio::test]
async fn acknowledged_records_survive_a_crash() {
    let (directory, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = TestClock::new();
    let store = open(directory.path(), &clock).unwrap();
    let record = record(1, 60, Some("value"));
    store.put(record.clone()).await.unwrap();
    copy_all(directory.path(), copy.path());
    let after = open(copy.path(), &clock).unwrap();
    assert_eq!(after.get(record.item()).await.unwrap(), Some(record));
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn many_writers_at_a_time_are_all_acknowledged() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let store = open(directory.path(), &clock).unwrap();
    let puts = (1..=50).map(|seq| store.put(record(seq, 60, Some("value"))));
    let outcomes = futures::future::join_all(puts).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let kept = store.get(record(1, 60, None).item()).await.unwrap();
    assert_eq!(kept.unwrap().seq(), 50);
    assert_eq!(store.usage().records, 1);
}

#[tokio::test]
async fn a_damaged_record_is_found_and_can_come_back() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let record = record(1, 60, Some("value"));
    let store = open(directory.path(), &clock).unwrap();
    store.put(record.clone()).await.unwrap();
    drop(store);
    let database = fjall::Database::builder(directory.path()).open().unwrap();
    let records = database.keyspace("dht_records", Default::default).unwrap();
    records
        .insert(record.item().to_bytes(), "no record")
        .unwrap();
    drop((records, database));
    let store = open(directory.path(), &clock).unwrap();
    let got = store.get(record.item()).await;
    assert!(matches!(got, Err(StoreError::Corrupt(_))), "{got:?}");
    // The same record again, as a replica would send it, heals it.
    assert!(store.put(record.clone()).await.unwrap().new);
    assert_eq!(
        store.get(record.item()).await.unwrap(),
        Some(record.clone())
    );
    store.discard(record.item()).await.unwrap();
    assert_eq!(store.get(record.item()).await.unwrap(), None);
    assert!(store.put(record).await.unwrap().new);
}

#[tokio::test]
async fn another_format_is_refused() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    drop(open(directory.path(), &clock).unwrap());
    let database = fjall::Database::builder(directory.path()).open().unwrap();
    let meta = database.keyspace("dht_meta", Default::default).unwrap();
    meta.insert("format", (FORMAT + 1).to_be_bytes()).unwrap();
    drop((meta, database));
    let Err(StoreError::Format { found, known }) = open(directory.path(), &clock) else {
        panic!("the store opened");
    };
    assert_eq!((found.as_str(), known), ("2", FORMAT));
}

#[tokio::test]
async fn a_store_in_use_says_so() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let _store = open(directory.path(), &clock).unwrap();
    assert!(matches!(
        open(directory.path(), &clock),
        Err(StoreError::Locked)
    ));
}
