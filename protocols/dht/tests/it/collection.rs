//! Records as the replicas' collection sees them.

use std::sync::Arc;

use bytes::Bytes;
use dht::{Clock, Item, Limits, MAX_CLOCK_SKEW, MemoryRecords, Record, Records};
use guid::{Guid, Span};
use replicas::{Collection, PutRefused, StoreError};

use crate::support::{KEY, NOW, TestClock, own, record, signed};

fn records(limits: Limits) -> (Records, TestClock) {
    let clock = TestClock::new();
    let store = MemoryRecords::new(own(), limits, Arc::new(clock.clone()));
    (Records::new(Arc::new(store)), clock)
}

fn id(record: &Record) -> Bytes {
    Bytes::copy_from_slice(&record.item().to_bytes())
}

#[tokio::test]
async fn an_item_is_put_got_and_listed_by_its_name() {
    let (records, _) = records(Limits::default());
    let record = record(1, 60, Some("value"));
    let id = id(&record);
    assert_eq!(records.key_of(&id), Some(KEY));
    assert_eq!(
        records.verify(&id, record.encoded()).unwrap(),
        record.version()
    );
    let stored = records.put(&id, record.encoded().clone()).await.unwrap();
    assert!(stored.new);
    assert_eq!(stored.version, record.version());
    assert_eq!(
        records.get(&id).await.unwrap().as_ref(),
        Some(record.encoded())
    );
    assert_eq!(records.version(&id).await.unwrap(), Some(record.version()));
    let entries = records.list(Span::new(KEY, KEY), None, 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].guid, &entries[0].id), (KEY, &id));
    assert!(
        records
            .list(Span::full(), Some(id.clone()), 10)
            .await
            .unwrap()
            .is_empty()
    );
    records.discard_corrupt(&id).await;
    assert_eq!(records.get(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_record_under_a_wrong_name_is_refused() {
    let (records, _) = records(Limits::default());
    let good = record(1, 60, Some("value"));
    let other_key = Item {
        key: Guid::new(0x43),
        ..good.item()
    };
    let other_publisher = signed(2, KEY, 1, NOW + 60, None).item();
    for item in [other_key, other_publisher] {
        let id = Bytes::copy_from_slice(&item.to_bytes());
        assert!(matches!(
            records.verify(&id, good.encoded()),
            Err(PutRefused::Invalid(_))
        ));
        let put = records.put(&id, good.encoded().clone()).await;
        assert!(matches!(put, Err(PutRefused::Invalid(_))));
    }
    let short = Bytes::from_static(b"short");
    assert_eq!(records.key_of(&short), None);
    assert!(records.put(&short, good.encoded().clone()).await.is_err());
    assert_eq!(records.store().usage().records, 0);
}

#[tokio::test]
async fn a_peer_is_not_blamed_for_a_record_that_just_expired() {
    let (records, clock) = records(Limits::default());
    let record = record(1, 60, Some("value"));
    let id = id(&record);
    clock.advance(60 + MAX_CLOCK_SKEW);
    assert!(records.verify(&id, record.encoded()).is_ok());
    let put = records.put(&id, record.encoded().clone()).await;
    assert!(matches!(put, Err(PutRefused::Invalid(_))));
    clock.advance(1);
    assert!(clock.now() > record.expires() + MAX_CLOCK_SKEW);
    assert!(records.verify(&id, record.encoded()).is_err());
}

#[tokio::test]
async fn no_room_is_told_apart_from_a_bad_record() {
    let (records, _) = records(Limits {
        records: 0,
        ..Limits::default()
    });
    let record = record(1, 60, Some("value"));
    let put = records.put(&id(&record), record.encoded().clone()).await;
    assert!(matches!(put, Err(PutRefused::Store(StoreError::Full(_)))));
}
