//! What the store on disk keeps over a restart, and what it refuses.

use std::path::Path;
use std::sync::Arc;

use claims::{FORMAT, FjallClaims, Item, Limits, RELEASE_LIFE, State, Store};
use fjall::{Database, Keyspace};
use guid::Span;
use replicas::StoreError;
use tempfile::TempDir;

use crate::support::{DAY, HOUR, NOW, TestClock, all_free, block, claim, name, release};

fn open(path: &Path, clock: &TestClock) -> Result<FjallClaims, StoreError> {
    FjallClaims::open(path, Limits::default(), Arc::new(clock.clone()))
}

/// Changes what is on disk behind the store's back.
fn tamper(path: &Path, keyspace: &str, change: impl FnOnce(&Keyspace)) {
    let database = Database::builder(path).open().unwrap();
    change(&database.keyspace(keyspace, Default::default).unwrap());
}

/// The key of the only row.
fn only_key(rows: &Keyspace) -> Vec<u8> {
    let row = rows.first_key_value().unwrap();
    row.key().unwrap().to_vec()
}

async fn check(store: &FjallClaims) {
    assert_eq!(store.usage().claims, 3);
    assert_eq!(store.get(name(1, 1)).await.unwrap(), Some(claim(1, 1)));
    assert_eq!(store.state(&block(1)).await.unwrap(), State::Claimed);
    assert_eq!(store.state(&block(2)).await.unwrap(), State::Unclaimed);
    let since = NOW;
    assert_eq!(store.state(&block(3)).await.unwrap(), State::Free { since });
    let kept = store.get(name(3, 3)).await.unwrap();
    assert_eq!(kept, Some(release(3, 3, NOW)));
}

async fn fill(store: &FjallClaims, clock: &TestClock) {
    store.put(claim(1, 1)).await.unwrap();
    store.put(claim(2, 2)).await.unwrap();
    store.put(release(2, 2, NOW)).await.unwrap();
    store.put(release(3, 3, NOW)).await.unwrap();
    clock.advance(HOUR);
    store.put_again(&block(2)).await.unwrap();
}

#[tokio::test]
async fn all_is_there_after_reopening() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let store = open(directory.path(), &clock).unwrap();
    fill(&store, &clock).await;
    check(&store).await;
    drop(store);
    clock.advance(HOUR);
    let store = open(directory.path(), &clock).unwrap();
    check(&store).await;
    // When it came first is not when it came again.
    store.put(release(3, 3, NOW)).await.unwrap();
    check(&store).await;
    clock.set(NOW + RELEASE_LIFE);
    assert_eq!(store.sweep().await.unwrap(), 2);
    drop(store);
    let store = open(directory.path(), &clock).unwrap();
    assert_eq!(store.usage().claims, 1);
    assert_eq!(store.sweep().await.unwrap(), 0);
    drop(store);
    // Nothing is left behind.
    tamper(directory.path(), "ends", |ends| {
        assert!(ends.is_empty().unwrap());
    });
    tamper(directory.path(), "puts", |puts| {
        assert!(puts.is_empty().unwrap());
    });
}

/// The files as they are while the store is open and nothing was closed: what a crash leaves
/// behind once the disk has what was synced.
#[tokio::test]
async fn what_was_acknowledged_survives_a_crash() {
    let (directory, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = TestClock::new();
    let store = open(directory.path(), &clock).unwrap();
    fill(&store, &clock).await;
    copy_all(directory.path(), copy.path());
    check(&open(copy.path(), &clock).unwrap()).await;
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
    // All claims twice and their releases, all at the same time.
    let claims = (0..200).map(|by| claim(by % 7, by));
    let releases = (0..200).map(|by| release(by % 7, by, NOW));
    let puts = claims.clone().chain(releases).chain(claims);
    let outcomes = futures::future::join_all(puts.map(|item| store.put(item))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(store.usage().claims, 200);
    assert_eq!(all_free(&store, 100).await.len(), 7);
    drop(store);
    let store = open(directory.path(), &clock).unwrap();
    assert_eq!(store.usage().claims, 200);
    assert_eq!(all_free(&store, 100).await.len(), 7);
}

#[tokio::test]
async fn a_row_of_another_form_is_dropped_and_comes_again() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let store = open(directory.path(), &clock).unwrap();
    store.put(claim(1, 1)).await.unwrap();
    drop(store);
    tamper(directory.path(), "claims", |rows| {
        rows.insert(only_key(rows), "no row").unwrap();
        rows.insert("no key", 8_u64.to_be_bytes()).unwrap();
    });
    let store = open(directory.path(), &clock).unwrap();
    assert_eq!(store.usage().claims, 0);
    assert_eq!(store.list(Span::full(), None, 9).await.unwrap(), []);
    assert!(store.put(claim(1, 1)).await.unwrap().new);
    assert_eq!(store.usage().claims, 1);
}

#[tokio::test]
async fn a_damaged_release_is_found_and_can_come_back() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let store = open(directory.path(), &clock).unwrap();
    store.put(release(1, 1, NOW)).await.unwrap();
    drop(store);
    let forged = [&NOW.to_be_bytes()[..], &release(1, 2, NOW).encode()].concat();
    tamper(directory.path(), "claims", |rows| {
        rows.insert(only_key(rows), forged).unwrap();
    });
    let store = open(directory.path(), &clock).unwrap();
    let got = store.get(name(1, 1)).await;
    assert!(matches!(got, Err(StoreError::Corrupt(_))), "{got:?}");
    store.discard(name(1, 1)).await.unwrap();
    assert_eq!(store.get(name(1, 1)).await.unwrap(), None);
    assert!(store.put(release(1, 1, NOW)).await.unwrap().new);
    let kept = store.get(name(1, 1)).await.unwrap();
    assert_eq!(kept, Some(release(1, 1, NOW)));
    assert_eq!(store.usage().claims, 1);
}

#[tokio::test]
async fn a_put_that_cannot_be_read_was_just_now() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let store = open(directory.path(), &clock).unwrap();
    store.put(release(1, 1, NOW)).await.unwrap();
    drop(store);
    tamper(directory.path(), "puts", |puts| {
        puts.insert(block(1).to_bytes(), "no time").unwrap();
        puts.insert(block(2).to_bytes(), NOW.to_be_bytes()).unwrap();
        puts.insert("no block", NOW.to_be_bytes()).unwrap();
    });
    clock.advance(HOUR);
    drop(open(directory.path(), &clock).unwrap());
    clock.advance(HOUR);
    let store = open(directory.path(), &clock).unwrap();
    assert_eq!(store.state(&block(1)).await.unwrap(), State::Unclaimed);
    drop(store);
    // Puts of blocks without releases are of no use.
    tamper(directory.path(), "puts", |puts| {
        assert_eq!(puts.len().unwrap(), 1);
    });
}

#[tokio::test]
async fn a_release_that_leads_nowhere_is_swept() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let store = open(directory.path(), &clock).unwrap();
    store.put(release(1, 1, NOW)).await.unwrap();
    drop(store);
    // As where its row was corrupted, dropped, and came again as a claim.
    tamper(directory.path(), "claims", |rows| {
        rows.insert(only_key(rows), NOW.to_be_bytes()).unwrap();
    });
    tamper(directory.path(), "ends", |ends| {
        ends.insert("no end", []).unwrap();
        ends.insert([0; 9], []).unwrap();
    });
    clock.advance(RELEASE_LIFE);
    let store = open(directory.path(), &clock).unwrap();
    store.sweep().await.unwrap();
    assert_eq!(store.usage().claims, 1);
    assert_eq!(
        store.get(name(1, 1)).await.unwrap(),
        Some(Item::claim(name(1, 1)))
    );
}

#[tokio::test]
async fn a_later_release_leaves_nothing_of_the_earlier() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let store = open(directory.path(), &clock).unwrap();
    for days in 0..3 {
        let put = store.put(release(1, 1, NOW + days * DAY));
        assert!(put.await.unwrap().new);
        clock.advance(DAY);
    }
    drop(store);
    tamper(directory.path(), "ends", |ends| {
        assert_eq!(ends.len().unwrap(), 1);
    });
    let store = open(directory.path(), &clock).unwrap();
    store.discard(name(1, 1)).await.unwrap();
    drop(store);
    tamper(directory.path(), "ends", |ends| {
        assert!(ends.is_empty().unwrap());
    });
}

#[tokio::test]
async fn another_format_is_refused() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    drop(open(directory.path(), &clock).unwrap());
    tamper(directory.path(), "meta", |meta| {
        meta.insert("format", (FORMAT + 1).to_be_bytes()).unwrap();
    });
    let Err(StoreError::Format { found, known }) = open(directory.path(), &clock) else {
        panic!("the store opened");
    };
    assert_eq!((found.as_str(), known), ("2", FORMAT));
    tamper(directory.path(), "meta", |meta| {
        meta.remove("format").unwrap();
    });
    let Err(StoreError::Format { found, .. }) = open(directory.path(), &clock) else {
        panic!("the store opened");
    };
    assert_eq!(found, "none");
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
