//! Claims as the replicas' collection sees them.

use std::sync::Arc;

use bytes::Bytes;
use claims::{CLOCKS_APART, Claim, Claims, Item, Limits, MemoryClaims, RELEASE_LIFE};
use guid::Span;
use replicas::{Collection, PutRefused, StoreError};

use crate::support::{NOW, TestClock, block, claim, name, release};

fn claims(limits: Limits) -> (Claims, TestClock) {
    let clock = TestClock::new();
    let store = MemoryClaims::new(limits, Arc::new(clock.clone()));
    (Claims::new(Arc::new(store)), clock)
}

fn id(name: &Claim) -> Bytes {
    name.to_bytes().into()
}

fn is_invalid<T>(outcome: Result<T, PutRefused>) -> bool {
    matches!(outcome, Err(PutRefused::Invalid(_)))
}

#[tokio::test]
async fn an_item_is_put_got_and_listed_by_its_name() {
    let (claims, _) = claims(Limits::default());
    let (id, place) = (id(&name(1, 1)), blocks::guid_of(&block(1)));
    assert_eq!(claims.key_of(&id), Some(place));
    for item in [claim(1, 1), release(1, 1, NOW)] {
        let bytes = item.encode();
        assert_eq!(claims.verify(&id, &bytes).unwrap(), item.version());
        let stored = claims.put(&id, bytes.clone()).await.unwrap();
        assert_eq!((stored.version, stored.new), (item.version(), true));
        assert_eq!(claims.get(&id).await.unwrap(), Some(bytes));
        assert_eq!(claims.version(&id).await.unwrap(), Some(item.version()));
        let entries = claims.list(Span::new(place, place), None, 9).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].guid, &entries[0].id), (place, &id));
        assert_eq!(entries[0].version, item.version());
    }
    let behind = claims.list(Span::full(), Some(id.clone()), 9).await;
    assert!(behind.unwrap().is_empty());
    claims.discard_corrupt(&id).await;
    assert_eq!(claims.get(&id).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_claim_is_refused() {
    let (claims, _) = claims(Limits::default());
    let id = id(&name(1, 1));
    let wrong = [
        release(1, 2, NOW).encode(),
        Bytes::from_static(b"x"),
        release(1, 1, NOW + CLOCKS_APART + 1).encode(),
        release(1, 1, NOW - RELEASE_LIFE - CLOCKS_APART).encode(),
    ];
    for bytes in wrong {
        assert!(is_invalid(claims.verify(&id, &bytes)));
        assert!(is_invalid(claims.put(&id, bytes).await));
    }
    let short = Bytes::from_static(b"short");
    assert_eq!(claims.key_of(&short), None);
    assert!(is_invalid(claims.put(&short, Bytes::new()).await));
    assert_eq!(claims.version(&short).await.unwrap(), None);
    assert_eq!(claims.get(&short).await.unwrap(), None);
    let behind = claims.list(Span::full(), Some(short), 9).await;
    assert!(behind.unwrap().is_empty());
    assert_eq!(claims.store().usage().claims, 0);
}

#[tokio::test]
async fn a_peer_is_not_blamed_for_a_release_that_has_just_ended() {
    let (claims, clock) = claims(Limits::default());
    let (id, bytes) = (id(&name(1, 1)), release(1, 1, NOW).encode());
    clock.advance(RELEASE_LIFE + CLOCKS_APART - 1);
    assert!(claims.verify(&id, &bytes).is_ok());
    assert!(!claims.put(&id, bytes.clone()).await.unwrap().new);
    clock.advance(1);
    assert!(is_invalid(claims.verify(&id, &bytes)));
    // The copy here is none the worse for it.
    assert!(claims.is_intact(&id, &bytes));
    assert!(!claims.is_intact(&id, &release(1, 2, NOW).encode()));
}

#[tokio::test]
async fn no_room_is_told_apart_from_a_bad_claim() {
    let (claims, _) = claims(Limits { claims: 0 });
    let put = claims.put(&id(&name(1, 1)), Bytes::new()).await;
    assert!(matches!(put, Err(PutRefused::Store(StoreError::Full(_)))));
}

#[test]
fn a_claim_is_named_for_people() {
    let (claims, _) = claims(Limits::default());
    let text = claims.describe(&id(&name(1, 1)));
    assert!(text.contains(&block(1).to_string()), "{text}");
    assert_eq!(Item::claim(name(1, 1)).encode(), Bytes::new());
}
