//! What both stores do with claims and releases.

use claims::{
    CLOCKS_APART, FULL_FOR, FreePage, ItemError, Limits, MAX_LOOKED, Outcome, RELEASE_LIFE,
    Refused, State,
};
use guid::{Guid, Span};
use replicas::StoreError;

use crate::support::{DAY, HOUR, NOW, all_free, benches, block, claim, name, release, secret};

#[tokio::test]
async fn a_claim_is_kept_and_its_release_replaces_it_for_good() {
    for bench in benches(Limits::default()) {
        let store = &bench.store;
        assert_eq!(store.state(&block(1)).await.unwrap(), State::Unclaimed);
        let claimed = Outcome {
            version: 1,
            new: true,
        };
        assert_eq!(store.put(claim(1, 1)).await.unwrap(), claimed);
        assert_eq!(store.get(name(1, 1)).await.unwrap(), Some(claim(1, 1)));
        assert_eq!(store.version(name(1, 1)).await.unwrap(), Some(1));
        assert_eq!(store.state(&block(1)).await.unwrap(), State::Claimed);

        let released = release(1, 1, NOW);
        let stored = store.put(released).await.unwrap();
        assert_eq!((stored.version, stored.new), (released.version(), true));
        assert_eq!(store.get(name(1, 1)).await.unwrap(), Some(released));
        let free = State::Free { since: NOW };
        assert_eq!(store.state(&block(1)).await.unwrap(), free);
        // The claim replayed changes nothing, and the answer says what is newer.
        let kept = Outcome {
            version: released.version(),
            new: false,
        };
        assert_eq!(store.put(claim(1, 1)).await.unwrap(), kept);
        assert_eq!(store.put(released).await.unwrap(), kept);
        assert_eq!(store.state(&block(1)).await.unwrap(), free);
        assert_eq!(store.usage().claims, 1);
    }
}

#[tokio::test]
async fn a_release_may_come_before_its_claim() {
    for bench in benches(Limits::default()) {
        bench.store.put(release(1, 1, NOW)).await.unwrap();
        assert!(!bench.store.put(claim(1, 1)).await.unwrap().new);
        let state = bench.store.state(&block(1)).await.unwrap();
        assert_eq!(state, State::Free { since: NOW });
    }
}

#[tokio::test]
async fn a_block_is_needed_as_long_as_anybody_claims_it() {
    for bench in benches(Limits::default()) {
        let store = &bench.store;
        for by in 0..3 {
            store.put(claim(1, by)).await.unwrap();
        }
        for by in 0..3 {
            assert_eq!(store.state(&block(1)).await.unwrap(), State::Claimed);
            bench.clock.advance(HOUR);
            store.put(release(1, by, NOW)).await.unwrap();
        }
        let since = NOW + 3 * HOUR;
        let free = State::Free { since };
        assert_eq!(store.state(&block(1)).await.unwrap(), free);
        // Claimed again, by whoever puts it again: with another secret.
        store.put(claim(1, 9)).await.unwrap();
        assert_eq!(store.state(&block(1)).await.unwrap(), State::Claimed);
        // Others are not meant.
        assert_eq!(store.state(&block(2)).await.unwrap(), State::Unclaimed);
    }
}

#[tokio::test]
async fn it_is_free_since_the_release_came_here_first() {
    for bench in benches(Limits::default()) {
        let store = &bench.store;
        store.put(claim(1, 1)).await.unwrap();
        bench.clock.advance(5 * HOUR);
        // What the other node's clock says is not what counts.
        store.put(release(1, 1, NOW - 3 * DAY)).await.unwrap();
        bench.clock.advance(HOUR);
        assert!(!store.put(release(1, 1, NOW - 3 * DAY)).await.unwrap().new);
        let since = NOW + 5 * HOUR;
        let free = State::Free { since };
        assert_eq!(store.state(&block(1)).await.unwrap(), free);
        // A second release by whoever has the secret is a new one.
        assert!(store.put(release(1, 1, NOW)).await.unwrap().new);
        let since = NOW + 6 * HOUR;
        assert_eq!(store.state(&block(1)).await.unwrap(), State::Free { since });
        assert_eq!(store.usage().claims, 1);
    }
}

#[tokio::test]
async fn a_block_that_is_put_again_is_not_free_until_it_is_released_again() {
    for bench in benches(Limits::default()) {
        let store = &bench.store;
        // Of blocks that are not free nothing is noted.
        store.put_again(&block(1)).await.unwrap();
        store.put(claim(1, 1)).await.unwrap();
        store.put_again(&block(1)).await.unwrap();
        store.put(release(1, 1, NOW)).await.unwrap();
        bench.clock.advance(HOUR);
        store.put_again(&block(1)).await.unwrap();
        assert_eq!(store.state(&block(1)).await.unwrap(), State::Unclaimed);
        assert_eq!(all_free(&**store, 10).await, []);
        // A later release counts from when it comes.
        bench.clock.advance(HOUR);
        store.put(release(1, 2, NOW)).await.unwrap();
        let since = NOW + 2 * HOUR;
        assert_eq!(store.state(&block(1)).await.unwrap(), State::Free { since });
        assert_eq!(all_free(&**store, 10).await, [(block(1), since)]);
        // The put is forgotten with the releases: a clock that is set back shows it.
        bench.clock.advance(RELEASE_LIFE);
        store.sweep().await.unwrap();
        bench.clock.set(NOW);
        store.put(release(1, 3, NOW)).await.unwrap();
        assert_eq!(
            store.state(&block(1)).await.unwrap(),
            State::Free { since: NOW }
        );
    }
}

#[tokio::test]
async fn a_release_ends_and_is_not_taken_again() {
    for bench in benches(Limits::default()) {
        let store = &bench.store;
        store.put(claim(1, 1)).await.unwrap();
        let released = release(1, 1, NOW);
        store.put(released).await.unwrap();
        bench.clock.advance(RELEASE_LIFE - 1);
        assert_eq!(store.get(name(1, 1)).await.unwrap(), Some(released));
        assert_eq!(store.sweep().await.unwrap(), 0);
        bench.clock.advance(1);
        for swept in [false, true] {
            if swept {
                assert_eq!(store.usage().claims, 1);
                assert_eq!(store.sweep().await.unwrap(), 1);
                assert_eq!(store.usage().claims, 0);
            }
            assert_eq!(store.get(name(1, 1)).await.unwrap(), None);
            assert_eq!(store.version(name(1, 1)).await.unwrap(), None);
            assert_eq!(store.list(Span::full(), None, 9).await.unwrap(), []);
            assert_eq!(store.state(&block(1)).await.unwrap(), State::Unclaimed);
            assert_eq!(all_free(&**store, 9).await, []);
            // Offered by one whose clock is behind, it is known.
            let known = Outcome {
                version: released.version(),
                new: false,
            };
            assert_eq!(store.put(released).await.unwrap(), known);
        }
        bench.clock.advance(CLOCKS_APART);
        let late = store.put(released).await;
        let ended = Err::<Outcome, _>(Refused::Invalid(ItemError::Ended {
            time: NOW,
            now: NOW + RELEASE_LIFE + CLOCKS_APART,
        }));
        assert_eq!(format!("{late:?}"), format!("{ended:?}"));
        assert_eq!(store.usage().claims, 0);
    }
}

#[tokio::test]
async fn what_came_while_the_clock_was_behind_is_swept_too() {
    for bench in benches(Limits::default()) {
        for by in 0..300 {
            bench.store.put(release(1, by, NOW)).await.unwrap();
        }
        bench.clock.set(NOW + RELEASE_LIFE);
        assert_eq!(bench.store.sweep().await.unwrap(), 300);
        assert_eq!(bench.store.sweep().await.unwrap(), 0);
        bench.clock.set(NOW);
        bench.store.put(release(1, 1, NOW - DAY)).await.unwrap();
        bench.clock.set(NOW + RELEASE_LIFE);
        assert_eq!(bench.store.sweep().await.unwrap(), 1);
        assert_eq!(bench.store.usage().claims, 0);
    }
}

#[tokio::test]
async fn a_claim_stays_where_its_release_came_too_late() {
    for bench in benches(Limits::default()) {
        bench.store.put(claim(1, 1)).await.unwrap();
        bench.clock.advance(RELEASE_LIFE);
        let late = bench.store.put(release(1, 1, NOW)).await.unwrap();
        assert!(!late.new);
        let state = bench.store.state(&block(1)).await.unwrap();
        assert_eq!(state, State::Claimed);
        assert_eq!(bench.store.version(name(1, 1)).await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn a_release_of_a_time_to_come_is_refused() {
    for bench in benches(Limits::default()) {
        let put = bench.store.put(release(1, 1, NOW + DAY + 1)).await;
        assert!(matches!(
            put,
            Err(Refused::Invalid(ItemError::TooFarAhead { .. }))
        ));
        bench.store.put(release(1, 1, NOW + DAY)).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_store_takes_no_more_but_releases_of_what_it_has() {
    for bench in benches(Limits { claims: 2 }) {
        let store = &bench.store;
        store.put(claim(1, 1)).await.unwrap();
        assert!(!store.is_full());
        store.put(claim(2, 2)).await.unwrap();
        assert!(store.is_full());
        for refused in [claim(1, 3), claim(3, 3), release(3, 4, NOW)] {
            let put = store.put(refused).await;
            assert!(matches!(put, Err(Refused::Store(StoreError::Full(_)))));
        }
        assert_eq!(store.usage().claims, 2);
        assert!(store.put(release(1, 1, NOW)).await.unwrap().new);
        assert!(!store.put(claim(2, 2)).await.unwrap().new);
        // Room comes back by itself when releases end; for a while a claim may be missing.
        bench.clock.advance(RELEASE_LIFE);
        assert!(store.put(claim(3, 3)).await.unwrap().new);
        assert!(store.is_full());
        store.discard(name(3, 3)).await.unwrap();
        assert_eq!(store.usage().claims, 1);
        assert!(!store.is_full());
        store.put(claim(3, 3)).await.unwrap();
        assert!(store.put(claim(4, 4)).await.is_err());
        store.discard(name(3, 3)).await.unwrap();
        bench.clock.advance(FULL_FOR - 1);
        assert!(store.is_full());
        bench.clock.advance(1);
        assert!(!store.is_full());
    }
}

/// Rows that ended are replaced and swept in the same round; none is counted twice.
#[tokio::test]
async fn the_count_is_right_where_room_is_made_for_many() {
    for bench in benches(Limits { claims: 8 }) {
        for by in 0..8 {
            bench.store.put(release(by, by, NOW)).await.unwrap();
        }
        bench.clock.advance(RELEASE_LIFE);
        let puts = (0..12).map(|by| bench.store.put(claim(by, by)));
        let outcomes = futures::future::join_all(puts).await;
        assert_eq!(outcomes.iter().filter(|put| put.is_ok()).count(), 8);
        assert_eq!(bench.store.usage().claims, 8);
        let listed = bench.store.list(Span::full(), None, 100).await.unwrap();
        assert_eq!(listed.len(), 8);
    }
}

#[tokio::test]
async fn so_many_releases_of_one_block_count_as_a_claim() {
    for bench in benches(Limits::default()) {
        let puts = (1..MAX_LOOKED as u16).map(|by| bench.store.put(release(1, by, NOW)));
        futures::future::try_join_all(puts).await.unwrap();
        let free = State::Free { since: NOW };
        assert_eq!(bench.store.state(&block(1)).await.unwrap(), free);
        bench.store.put(release(1, 0, NOW)).await.unwrap();
        let state = bench.store.state(&block(1)).await.unwrap();
        assert_eq!(state, State::Claimed);
        bench.store.put(release(2, 0, NOW)).await.unwrap();
        assert_eq!(all_free(&*bench.store, 10).await, [(block(2), NOW)]);
    }
}

#[tokio::test]
async fn lists_go_round_the_ring_page_by_page() {
    for bench in benches(Limits::default()) {
        let mut names = Vec::new();
        for of in 0..5 {
            for by in 0..4 {
                bench.store.put(claim(of, by)).await.unwrap();
                names.push(name(of, by));
            }
        }
        let order = |name: &claims::Claim| (name.place(), name.to_bytes());
        names.sort_by_key(order);
        // From the middle of the ring round to just before it.
        let from = names[8].place();
        let to = Guid::new(from.as_u128().wrapping_sub(1));
        names.rotate_left(8);
        for limit in [1, 3, 100] {
            let (mut listed, mut after) = (Vec::new(), None);
            loop {
                let span = Span::new(from, to);
                let page = bench.store.list(span, after, limit).await.unwrap();
                assert!(page.len() <= limit);
                let Some((last, _)) = page.last() else { break };
                after = Some(*last);
                listed.extend(page.into_iter().map(|(name, _)| name));
            }
            assert_eq!(listed, names);
        }
        let place = block(2);
        let place = Span::new(blocks::guid_of(&place), blocks::guid_of(&place));
        let listed = bench.store.list(place, None, 100).await.unwrap();
        assert_eq!(listed.len(), 4);
        assert!(listed.iter().all(|(name, _)| name.block == block(2)));
        let elsewhere = bench.store.list(place, Some(name(3, 0)), 100).await;
        assert_eq!(elsewhere.unwrap(), []);
    }
}

#[tokio::test]
async fn free_blocks_are_found_page_by_page() {
    for bench in benches(Limits::default()) {
        let mut free = Vec::new();
        for of in 0..20 {
            bench.store.put(claim(of, 1)).await.unwrap();
            if of % 3 == 0 {
                bench.store.put(release(of, 1, NOW)).await.unwrap();
                bench.store.put(release(of, 2, NOW)).await.unwrap();
                free.push((block(of), NOW));
            }
        }
        free.sort_by_key(|(block, _)| blocks::guid_of(block));
        for limit in [0, 1, 2, 100] {
            assert_eq!(all_free(&*bench.store, limit).await, free);
        }
        let page = bench.store.free(Some(free[6].0), 10).await.unwrap();
        assert_eq!(page, FreePage::default());
    }
}

#[tokio::test]
async fn what_is_discarded_can_come_again() {
    for bench in benches(Limits::default()) {
        bench.store.put(claim(1, 1)).await.unwrap();
        bench.store.put(release(1, 2, NOW)).await.unwrap();
        for by in [1, 2, 3] {
            bench.store.discard(name(1, by)).await.unwrap();
        }
        assert_eq!(bench.store.usage().claims, 0);
        assert_eq!(
            bench.store.state(&block(1)).await.unwrap(),
            State::Unclaimed
        );
        assert!(bench.store.put(claim(1, 1)).await.unwrap().new);
        assert!(bench.store.put(release(1, 2, NOW)).await.unwrap().new);
        let wrong = claims::Claim::of(block(1), &secret(9));
        assert_eq!(bench.store.get(wrong).await.unwrap(), None);
    }
}
