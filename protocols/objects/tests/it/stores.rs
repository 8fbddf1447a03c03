//! Both stores: joins, room, order, and what is on disk.

use guid::{Guid, Span};
use objects::{Fields, FjallHeads, HeadStore, Heads, Limits, NoRoom, Record, Refused};

use crate::support::{fields, keypair, name, own, stores, version};

fn whole() -> Span {
    Span::new(Guid::new(0), Guid::new(u128::MAX))
}

fn of(key: u8, text: &str) -> Heads {
    let fields = Fields {
        name: name(text),
        ..fields("cat", "content", &[])
    };
    Heads::of(Record::sign(&keypair(key), fields).unwrap())
}

#[tokio::test]
async fn older_ones_change_nothing_and_equal_numbers_are_joined() {
    for (store, _directory) in stores(Limits::default()) {
        let first = version("one", &[]);
        let second = version("two", &[&first]);
        let fork = version("two, too", &[&first]);
        let aguid = first.aguid();
        assert_eq!(store.get(aguid).await.unwrap(), None);
        let put = store.put(Heads::of(second.clone())).await.unwrap();
        assert!(put.new);
        // Replayed, older, in any order.
        for old in [&first, &second, &first] {
            let again = store.put(Heads::of(old.clone())).await.unwrap();
            assert_eq!((again.new, again.version), (false, put.version));
        }
        let joined = store.put(Heads::of(fork.clone())).await.unwrap();
        assert!(joined.new && joined.version > put.version);
        let heads = store.get(aguid).await.unwrap().unwrap();
        assert_eq!(heads.records().len(), 2);
        assert_eq!(store.version(aguid).await.unwrap(), Some(heads.version()));
        let end = version("three", &[&second, &fork]);
        store.put(Heads::of(end.clone())).await.unwrap();
        assert_eq!(store.get(aguid).await.unwrap(), Some(Heads::of(end)));
        store.discard(aguid).await.unwrap();
        assert_eq!(store.get(aguid).await.unwrap(), None);
        assert_eq!(store.usage().objects, 0);
    }
}

#[tokio::test]
async fn room_is_bounded_for_each_author_and_in_all() {
    let limits = Limits {
        objects: 4,
        author_objects: 2,
        ..Limits::default()
    };
    for (store, _directory) in stores(limits) {
        for text in ["a", "b"] {
            store.put(of(1, text)).await.unwrap();
        }
        let full = store.put(of(1, "c")).await.unwrap_err();
        assert!(matches!(full, Refused::NoRoom(NoRoom::Author)), "{full}");
        // This node's own are bounded by the whole alone.
        for text in ["a", "b"] {
            store.put(of(200, text)).await.unwrap();
        }
        let full = store.put(of(2, "a")).await.unwrap_err();
        assert!(matches!(full, Refused::NoRoom(NoRoom::Total)), "{full}");
        assert_eq!(store.usage().objects, 4);
        // Others leave a quarter to it, whoever they are.
        let (others, _directory) = stores(limits).remove(0);
        for author in [1, 1, 2] {
            let number = others.usage().objects;
            others.put(of(author, &number.to_string())).await.unwrap();
        }
        let full = others.put(of(3, "a")).await.unwrap_err();
        assert!(matches!(full, Refused::NoRoom(NoRoom::Total)), "{full}");
        others.put(of(200, "a")).await.unwrap();
        // A removal gets in where all is full.
        let kept = of(1, "a");
        let kept = &kept.records()[0];
        let removal = Fields {
            name: name("a"),
            root: None,
            size: 0,
            ..fields("cat", "", &[kept])
        };
        let removal = Heads::of(Record::sign(&keypair(1), removal).unwrap());
        // It follows one version, and so may be longer by that CID than what it replaces.
        let put = store.put(removal.clone()).await;
        assert!(put.is_ok(), "{put:?}");
    }
}

#[tokio::test]
async fn listing_goes_round_the_ring() {
    for (store, _directory) in stores(Limits::default()) {
        let mut all = Vec::new();
        for at in 0..20 {
            let heads = of(1, &format!("n{at}"));
            all.push(heads.aguid());
            store.put(heads).await.unwrap();
        }
        all.sort();
        let listed = async |span, after, limit| {
            let listed = store.list(span, after, limit).await.unwrap();
            listed
                .into_iter()
                .map(|(aguid, _)| aguid)
                .collect::<Vec<_>>()
        };
        assert_eq!(listed(whole(), None, 100).await, all);
        assert_eq!(listed(whole(), Some(all[4]), 3).await, all[5..8]);
        // Through zero: from the tenth up and round to the third.
        let round = Span::new(all[10], all[3]);
        let wanted: Vec<Guid> = [&all[10..], &all[..4]].concat();
        assert_eq!(listed(round, None, 100).await, wanted);
        assert_eq!(listed(round, Some(all[15]), 100).await, wanted[6..]);
        assert_eq!(listed(round, Some(all[1]), 100).await, wanted[12..]);
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let heads = of(1, "a");
    let store = FjallHeads::open(directory.path(), own(), Limits::default()).unwrap();
    store.put(heads.clone()).await.unwrap();
    let usage = store.usage();
    drop(store);
    let store = FjallHeads::open(directory.path(), own(), Limits::default()).unwrap();
    assert_eq!(store.usage(), usage);
    assert_eq!(store.get(heads.aguid()).await.unwrap(), Some(heads));
}

#[tokio::test]
async fn what_was_written_last_is_noted() {
    let (first, other) = (version("first", &[]), version("other", &[]));
    for (store, directory) in stores(Limits::default()) {
        let aguid = first.aguid();
        assert_eq!(store.written(aguid).await.unwrap(), None);
        for record in [&first, &other] {
            store
                .note_written(aguid, record.seq(), record.vguid())
                .await
                .unwrap();
        }
        store.put(Heads::of(other.clone())).await.unwrap();
        let noted = Some((1, other.vguid()));
        assert_eq!(store.written(aguid).await.unwrap(), noted);
        let Some(directory) = directory else {
            continue;
        };
        drop(store);
        let store = FjallHeads::open(directory.path(), own(), Limits::default()).unwrap();
        assert_eq!(store.written(aguid).await.unwrap(), noted);
    }
}
