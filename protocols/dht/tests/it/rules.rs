//! Which record is in force, for both stores.

use dht::{Limits, MAX_CLOCK_SKEW, MAX_LIFETIME, NoRoom, Outcome, RecordError, Refused};
use guid::{Guid, Span};

use crate::support::{KEY, NOW, benches, keypair, own, record, signed};

#[tokio::test]
async fn the_highest_number_wins_in_any_order() {
    for bench in benches(Limits::default()) {
        let (old, new) = (record(1, 60, Some("old")), record(2, 60, Some("new")));
        let item = new.item();
        let stored = Outcome {
            version: new.version(),
            new: true,
        };
        assert_eq!(bench.store.put(new.clone()).await.unwrap(), stored);
        // The old one replayed changes nothing, and the answer says what is newer.
        let kept = Outcome {
            new: false,
            ..stored
        };
        assert_eq!(bench.store.put(old).await.unwrap(), kept);
        assert_eq!(bench.store.put(new.clone()).await.unwrap(), kept);
        assert_eq!(bench.store.get(item).await.unwrap(), Some(new.clone()));
        assert_eq!(
            bench.store.version(item).await.unwrap(),
            Some(new.version())
        );
        assert_eq!(bench.store.usage().records, 1);
    }
}

#[tokio::test]
async fn of_two_with_one_number_all_replicas_keep_the_same() {
    let (one, two) = (record(1, 60, Some("one")), record(1, 60, Some("two")));
    let tombstone = record(1, 60, None);
    let orders = [[&one, &two], [&two, &one]];
    let mut kept = Vec::new();
    for order in orders {
        for bench in benches(Limits::default()) {
            for record in order {
                bench.store.put(record.clone()).await.unwrap();
            }
            kept.push(bench.store.get(one.item()).await.unwrap().unwrap());
            bench.store.put(tombstone.clone()).await.unwrap();
            bench.store.put(kept[0].clone()).await.unwrap();
            assert_eq!(
                bench.store.get(one.item()).await.unwrap().as_ref(),
                Some(&tombstone)
            );
        }
    }
    assert!(kept.iter().all(|record| *record == kept[0]));
}

#[tokio::test]
async fn publishers_do_not_disturb_one_another() {
    for bench in benches(Limits::default()) {
        let mine = signed(1, KEY, 1, NOW + 60, Some("mine"));
        let theirs = signed(2, KEY, 99, NOW + 60, None);
        bench.store.put(mine.clone()).await.unwrap();
        bench.store.put(theirs.clone()).await.unwrap();
        assert_eq!(bench.store.get(mine.item()).await.unwrap(), Some(mine));
        assert_eq!(
            bench
                .store
                .list(Span::new(KEY, KEY), None, 10)
                .await
                .unwrap()
                .len(),
            2
        );
    }
}

#[tokio::test]
async fn what_expired_is_neither_taken_nor_served() {
    for bench in benches(Limits::default()) {
        let record = record(1, 60, Some("value"));
        let item = record.item();
        bench.store.put(record.clone()).await.unwrap();
        bench.clock.advance(59);
        assert!(bench.store.get(item).await.unwrap().is_some());
        bench.clock.advance(1);
        assert_eq!(bench.store.get(item).await.unwrap(), None);
        assert_eq!(bench.store.version(item).await.unwrap(), None);
        assert!(
            bench
                .store
                .list(Span::full(), None, 10)
                .await
                .unwrap()
                .is_empty()
        );
        let again = bench.store.put(record).await;
        assert!(matches!(
            again,
            Err(Refused::Invalid(RecordError::Expired { .. }))
        ));
        assert_eq!(bench.store.sweep().await.unwrap(), 1);
        assert_eq!(bench.store.usage(), dht::Usage::default());
        assert_eq!(bench.store.sweep().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn what_would_live_too_long_is_not_taken() {
    for bench in benches(Limits::default()) {
        let record = record(1, MAX_LIFETIME + MAX_CLOCK_SKEW + 1, Some("value"));
        let put = bench.store.put(record).await;
        assert!(matches!(
            put,
            Err(Refused::Invalid(RecordError::TooFarAhead { .. }))
        ));
    }
}

#[tokio::test]
async fn a_tombstone_hides_what_outlives_it() {
    for bench in benches(Limits::default()) {
        let value = record(1, 1_000, Some("value"));
        let tombstone = record(2, 60, None);
        bench.store.put(value.clone()).await.unwrap();
        bench.store.put(tombstone.clone()).await.unwrap();
        assert_eq!(
            bench.store.get(value.item()).await.unwrap(),
            Some(tombstone.clone())
        );
        bench.clock.advance(61);
        for swept in [false, true] {
            if swept {
                assert_eq!(bench.store.sweep().await.unwrap(), 1);
                assert_eq!(bench.store.usage().bytes, 0);
            }
            // Replayed by somebody who kept it.
            let put = bench.store.put(value.clone()).await.unwrap();
            assert_eq!(
                put,
                Outcome {
                    version: tombstone.version(),
                    new: false
                }
            );
            assert_eq!(bench.store.get(value.item()).await.unwrap(), None);
        }
        // The publisher itself goes on with a higher number.
        let next = record(3, 500, Some("next"));
        assert!(bench.store.put(next.clone()).await.unwrap().new);
        assert_eq!(bench.store.get(next.item()).await.unwrap(), Some(next));
        // Once nothing of the item can be valid any more, nothing is remembered.
        bench.clock.advance(1_000);
        bench.store.sweep().await.unwrap();
        assert_eq!(bench.store.usage().records, 0);
    }
}

#[tokio::test]
async fn a_publisher_has_its_share_and_this_node_more() {
    let limits = Limits {
        publisher_records: 2,
        records: 5,
        ..Limits::default()
    };
    for bench in benches(limits) {
        let put = |publisher: u8, key: u128| {
            let record = signed(publisher, Guid::new(key), 1, NOW + 60, Some("value"));
            let store = bench.store.clone();
            async move { store.put(record).await }
        };
        put(1, 1).await.unwrap();
        put(1, 2).await.unwrap();
        assert!(matches!(
            put(1, 3).await,
            Err(Refused::NoRoom(NoRoom::Publisher))
        ));
        // What is there may be replaced by what is no larger, and removed.
        let newer = signed(1, Guid::new(1), 2, NOW + 60, Some("other"));
        assert!(bench.store.put(newer).await.unwrap().new);
        assert_eq!(
            own(),
            Guid::of_key(&keypair(200).public().encode_protobuf())
        );
        for key in 1..=3 {
            put(200, key).await.unwrap();
        }
        assert!(matches!(
            put(2, 9).await,
            Err(Refused::NoRoom(NoRoom::Total))
        ));
        let tombstone = signed(1, Guid::new(2), 2, NOW + 60, None);
        assert!(bench.store.put(tombstone).await.unwrap().new);
        // Room comes back by itself when records expire.
        bench.clock.advance(61);
        let fresh = signed(2, Guid::new(9), 1, NOW + 120, Some("value"));
        assert!(bench.store.put(fresh).await.unwrap().new);
    }
}

#[tokio::test]
async fn bytes_are_bounded_too() {
    let size = record(1, 60, Some("value")).encoded().len() as u64;
    let limits = Limits {
        publisher_bytes: size + 10,
        ..Limits::default()
    };
    for bench in benches(limits) {
        bench.store.put(record(1, 60, Some("value"))).await.unwrap();
        assert_eq!(bench.store.usage().bytes, size);
        let larger = record(2, 60, Some("a value of more than ten bytes more"));
        let put = bench.store.put(larger).await;
        assert!(matches!(put, Err(Refused::NoRoom(NoRoom::Publisher))));
        let kept = bench.store.get(record(1, 60, None).item()).await.unwrap();
        assert_eq!(kept.unwrap().seq(), 1);
    }
}

#[tokio::test]
async fn lists_go_round_the_ring_page_by_page() {
    for bench in benches(Limits::default()) {
        for key in [1, 2, 3, u128::MAX] {
            for publisher in [1, 2] {
                let record = signed(publisher, Guid::new(key), 1, NOW + 60, Some("value"));
                bench.store.put(record).await.unwrap();
            }
        }
        let span = Span::new(Guid::new(3), Guid::new(2));
        let mut keys = Vec::new();
        let mut after = None;
        loop {
            let page = bench.store.list(span, after, 3).await.unwrap();
            keys.extend(page.iter().map(|(item, _)| item.key.as_u128()));
            let Some((last, _)) = page.last() else {
                break;
            };
            after = Some(*last);
        }
        assert_eq!(keys, [3, 3, u128::MAX, u128::MAX, 1, 1, 2, 2]);
        let outside = bench
            .store
            .list(Span::new(Guid::new(1), Guid::new(2)), after, 3);
        assert!(outside.await.unwrap().is_empty());
        assert_eq!(
            bench
                .store
                .list(Span::full(), None, 100)
                .await
                .unwrap()
                .len(),
            8
        );
    }
}
