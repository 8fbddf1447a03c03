//! Both stores keep, list, count and refuse alike; the one on disk also after a restart.

use archive::{Item, Limits, MemoryStore, Store, Usage, open};
use bytes::Bytes;
use guid::{Guid, Span};
use replicas::StoreError;

const OWN: Guid = Guid::new(77);

fn limits() -> Limits {
    Limits {
        bytes: 1000,
        of_one: 100,
        of_others: 250,
        own: OWN,
        keep_free: 0,
    }
}

fn item(place: u128, id: &'static [u8], version: u64, owner: Option<Guid>, size: usize) -> Item {
    Item {
        place: Guid::new(place),
        id: Bytes::from_static(id),
        version,
        owner,
        bytes: vec![version as u8; size].into(),
    }
}

async fn on_both(test: impl AsyncFn(&dyn Store)) {
    test(&MemoryStore::new(limits())).await;
    let directory = tempfile::tempdir().unwrap();
    let (fragments, manifests) = open(directory.path(), limits(), limits()).unwrap();
    test(&fragments).await;
    test(&manifests).await;
}

#[tokio::test]
async fn the_higher_version_stays() {
    on_both(async |store| {
        let id = Bytes::from_static(b"a");
        let put = async |version| store.put(item(5, b"a", version, None, 10)).await.unwrap();
        assert!(put(3).await.new);
        assert_eq!((put(2).await.version, put(2).await.new), (3, false));
        assert!(put(4).await.new);
        let kept = store.get(Guid::new(5), &id).await.unwrap().unwrap();
        assert_eq!(kept, (4, vec![4; 10].into()));
        assert_eq!(store.version(Guid::new(5), &id).await.unwrap(), Some(4));
        assert_eq!(
            store.usage(),
            Usage {
                items: 1,
                bytes: 10
            }
        );
        store.remove(Guid::new(5), &id).await.unwrap();
        assert_eq!(store.get(Guid::new(5), &id).await.unwrap(), None);
        assert_eq!(store.usage(), Usage::default());
    })
    .await;
}

#[tokio::test]
async fn arcs_are_listed_in_order_also_through_zero() {
    on_both(async |store| {
        let top = u128::MAX;
        let places = [0, 0, 7, top - 1, top];
        let ids: [&'static [u8]; 5] = [b"a", b"b", b"a", b"a", b"a"];
        for (place, id) in places.into_iter().zip(ids) {
            store.put(item(place, id, 1, None, 1)).await.unwrap();
        }
        let span = Span::new(Guid::new(top), Guid::new(6));
        let all = store.list(span, None, 10).await.unwrap();
        let found: Vec<_> = all
            .iter()
            .map(|(place, id, _)| (place.as_u128(), &id[..]))
            .collect();
        assert_eq!(found, [(top, &b"a"[..]), (0, b"a"), (0, b"b")]);
        // Page by page it is the same.
        let (mut after, mut paged) = (None, Vec::new());
        loop {
            let page = store.list(span, after.clone(), 1).await.unwrap();
            let Some((place, id, version)) = page.into_iter().next() else {
                break;
            };
            after = Some((place, id.clone()));
            paged.push((place, id, version));
        }
        assert_eq!(paged, all);
        assert_eq!(store.list(Span::full(), None, 10).await.unwrap().len(), 5);
    })
    .await;
}

#[tokio::test]
async fn one_owner_has_a_share_and_all_have_the_whole() {
    on_both(async |store| {
        let full = |outcome: Result<_, StoreError>| matches!(outcome, Err(StoreError::Full(_)));
        let other = Some(Guid::new(1));
        store.put(item(1, b"a", 1, other, 60)).await.unwrap();
        assert!(full(store.put(item(2, b"a", 1, other, 60)).await));
        // A newer one in the place of an older one counts once.
        store.put(item(1, b"a", 2, other, 90)).await.unwrap();
        store.put(item(3, b"a", 1, Some(OWN), 500)).await.unwrap();
        store.put(item(4, b"a", 1, None, 400)).await.unwrap();
        assert!(full(store.put(item(5, b"a", 1, Some(OWN), 11)).await));
        store.put(item(5, b"a", 1, Some(OWN), 10)).await.unwrap();
        assert_eq!(
            store.usage(),
            Usage {
                items: 4,
                bytes: 1000
            }
        );
        store
            .remove(Guid::new(1), &Bytes::from_static(b"a"))
            .await
            .unwrap();
        store.put(item(2, b"a", 1, other, 60)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn all_others_together_leave_room_for_this_node() {
    on_both(async |store| {
        let full = |outcome: Result<_, StoreError>| matches!(outcome, Err(StoreError::Full(_)));
        let put = async |owner: u128, version, size| {
            let of = Some(Guid::new(owner));
            store.put(item(owner, b"a", version, of, size)).await
        };
        put(1, 1, 90).await.unwrap();
        put(2, 1, 90).await.unwrap();
        assert!(full(put(3, 1, 71).await));
        put(3, 1, 60).await.unwrap();
        // One in the place of another counts once.
        put(3, 2, 70).await.unwrap();
        assert!(full(put(4, 1, 1).await));
        put(OWN.as_u128(), 1, 700).await.unwrap();
        let id = Bytes::from_static(b"a");
        store.remove(Guid::new(1), &id).await.unwrap();
        put(4, 1, 50).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (fragments, manifests) = open(directory.path(), limits(), limits()).unwrap();
        fragments.put(item(5, b"a", 0, None, 600)).await.unwrap();
        let owner = Some(Guid::new(1));
        manifests.put(item(6, b"b", 9, owner, 90)).await.unwrap();
    }
    let (fragments, manifests) = open(directory.path(), limits(), limits()).unwrap();
    assert_eq!(
        fragments.usage(),
        Usage {
            items: 1,
            bytes: 600
        }
    );
    let kept = fragments.get(Guid::new(5), &Bytes::from_static(b"a")).await;
    assert_eq!(kept.unwrap(), Some((0, vec![0; 600].into())));
    let version = manifests
        .version(Guid::new(6), &Bytes::from_static(b"b"))
        .await;
    assert_eq!(version.unwrap(), Some(9));
    // Whose what is, is remembered too.
    let more = manifests
        .put(item(7, b"b", 1, Some(Guid::new(1)), 20))
        .await;
    assert!(matches!(more, Err(StoreError::Full(_))));
}

#[tokio::test]
async fn a_store_of_another_format_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path(), limits(), limits()).unwrap());
    {
        let database = fjall::Database::builder(directory.path()).open().unwrap();
        let meta = database
            .keyspace("meta", fjall::KeyspaceCreateOptions::default)
            .unwrap();
        meta.insert("format", 2u32.to_be_bytes()).unwrap();
        database.persist(fjall::PersistMode::SyncAll).unwrap();
    }
    let refused = open(directory.path(), limits(), limits()).map(|_| ());
    assert!(matches!(refused, Err(StoreError::Format { found, .. }) if found == "2"));
}
