//! What one has got is there for all (Q30 to Q34).

use webcache::Scheme;

use super::member::{Member, open, path_at};
use crate::origin::{LIMIT, Origin, Script, until};

const BOTH: [Scheme; 2] = [Scheme::HomeStore, Scheme::Directory];

/// Waits until nobody has anything fresh of a URL.
async fn stale_everywhere(members: &[Member], url: &str) {
    let only_kept = "Cache-Control: only-if-cached";
    let growing_old = async {
        for member in members {
            while member.client.get_with(url, only_kept).await.status != 504 {}
        }
    };
    tokio::time::timeout(LIMIT, growing_old)
        .await
        .expect("what is fresh for seconds grows old");
}

#[tokio::test]
async fn what_one_has_got_is_a_peer_hit_for_the_next() {
    for scheme in BOTH {
        let origin = Origin::start().await;
        let members = Member::network(&open(scheme), 3).await;
        let path = path_at(&members, &origin, "/hit", 0);
        origin.says(&path, Script::ok("Cache-Control: max-age=600", "for all"));
        let url = origin.url(&path);

        let first = members[1].client.get(&url).await;
        assert_eq!((first.status, first.text().as_str()), (200, "for all"));
        let said = first.all("cache-status");
        match scheme {
            // The home asked the origin for it.
            Scheme::HomeStore => {
                assert_eq!(said[0], "hedgerow-peer; fwd=miss; stored");
                assert_eq!(said.len(), 2);
            }
            Scheme::Directory => assert_eq!(said.len(), 1),
        }
        let own = "hedgerow; fwd=uri-miss; fwd-status=200; stored";
        assert_eq!(said.last().unwrap(), own);

        let second = members[2].client.get(&url).await;
        assert_eq!((second.status, second.text().as_str()), (200, "for all"));
        let said = second.all("cache-status");
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("hedgerow-peer; hit; ttl="), "{said:?}");
        assert_eq!(said[1], own);
        assert_eq!(origin.count(), 1, "{scheme:?}");
        assert_eq!(members[2].stats().peer_hits, 1);
        assert_eq!(
            members.iter().map(|m| m.stats().served).sum::<u64>(),
            match scheme {
                Scheme::HomeStore => 2,
                Scheme::Directory => 1,
            }
        );

        // Each has it now, and the home of home-store too.
        until(|| members[2].client.store.objects() == 1).await;
        let third = members[2].client.get(&url).await;
        assert!(
            third.cache_status().starts_with("hedgerow; hit"),
            "{}",
            third.head
        );
        let home = members[0].client.get(&url).await;
        let said = home.all("cache-status");
        match scheme {
            Scheme::HomeStore => assert!(said[0].starts_with("hedgerow; hit"), "{said:?}"),
            Scheme::Directory => assert!(said[0].starts_with("hedgerow-peer; hit"), "{said:?}"),
        }
        assert_eq!(origin.count(), 1, "{scheme:?}");
    }
}

#[tokio::test]
async fn simultaneous_misses_of_all_ask_the_origin_once() {
    for scheme in BOTH {
        let origin = Origin::start().await;
        let members = Member::network(&open(scheme), 4).await;
        let path = path_at(&members, &origin, "/once", 0);
        let body: Vec<u8> = (0..3 * 1024 * 1024)
            .map(|at| (at * 7 % 251) as u8)
            .collect();
        let fields = format!("Cache-Control: max-age=600\nContent-Length: {}", body.len());
        let script = Script {
            pause_after: Some(1000),
            ..Script::raw("200 OK", &fields, &body)
        };
        origin.says(&path, script);
        let url = origin.url(&path);
        let asking = members.iter().flat_map(|member| {
            let (one, other) = (member.client.get(&url), member.client.get(&url));
            [one, other]
        });
        let asking = futures::future::join_all(asking);
        // The origin has been asked, and holds most of it back while all ask.
        let going_on = async {
            origin.until(1).await;
            until(|| {
                let requests: u64 = members.iter().map(|m| m.stats().requests).sum();
                let asked: u64 = members.iter().map(|m| m.stats().asked).sum();
                requests == 8 && asked >= 3
            })
            .await;
            origin.go_on();
        };
        let (replies, ()) = tokio::join!(asking, going_on);
        for reply in replies {
            assert!(reply.body == body, "another body: {}", reply.head);
        }
        assert_eq!(origin.count(), 1, "{scheme:?}");
    }
}

#[tokio::test]
async fn what_is_stale_is_renewed_without_a_body() {
    let origin = Origin::start().await;
    let members = Member::network(&open(Scheme::HomeStore), 3).await;
    let path = path_at(&members, &origin, "/renew", 0);
    // Old as it comes: it is fresh for one more second, and right when it is asked for again.
    let fields = "Cache-Control: max-age=100\nAge: 97\nETag: \"one\"";
    origin.says(&path, Script::ok(fields, "the same"));
    let url = origin.url(&path);
    members[1].client.get(&url).await;
    members[2].client.get(&url).await;
    assert_eq!(origin.count(), 1);
    stale_everywhere(&members, &url).await;
    let renewed = "Cache-Control: max-age=100\nETag: \"one\"";
    origin.says(&path, Script::raw("304 Not Modified", renewed, b""));
    for (member, count) in [(1, 2), (2, 2)] {
        let reply = members[member].client.get(&url).await;
        let said = reply.all("cache-status");
        assert_eq!(reply.text(), "the same");
        assert!(said[0].starts_with("hedgerow-peer; hit; ttl="), "{said:?}");
        assert_eq!(said[1], "hedgerow; fwd=stale; fwd-status=304; stored");
        assert_eq!(origin.count(), count, "of {member}");
        assert_eq!(members[member].stats().peer_validated, 1);
    }
}

#[tokio::test]
async fn a_directory_knows_how_long_a_copy_is_fresh() {
    let origin = Origin::start().await;
    let members = Member::network(&open(Scheme::Directory), 3).await;
    let path = path_at(&members, &origin, "/renew", 0);
    let fields = "Cache-Control: max-age=100\nAge: 97\nETag: \"one\"";
    origin.says(&path, Script::ok(fields, "the same"));
    let url = origin.url(&path);
    members[1].client.get(&url).await;
    members[2].client.get(&url).await;
    stale_everywhere(&members, &url).await;
    let renewed = "Cache-Control: max-age=100\nETag: \"one\"";
    origin.says(&path, Script::raw("304 Not Modified", renewed, b""));
    // One asks the origin; the other is told that nothing has changed.
    let one = members[1].client.get(&url).await;
    assert_eq!(
        one.cache_status(),
        "hedgerow; fwd=stale; fwd-status=304; stored"
    );
    until(|| members[0].stats().asked >= 4).await;
    let other = members[2].client.get(&url).await;
    let said = other.all("cache-status");
    assert!(said[0].starts_with("hedgerow-peer; hit; ttl="), "{said:?}");
    assert_eq!(other.text(), "the same");
    assert_eq!(origin.count(), 2);
    let kept = members[2].client.store.list();
    assert!((90..=100).contains(&kept[0].fresh_seconds), "{kept:?}");
}

#[tokio::test]
async fn answers_that_vary_are_given_to_those_they_are_for() {
    let origin = Origin::start().await;
    let members = Member::network(&open(Scheme::HomeStore), 3).await;
    let path = path_at(&members, &origin, "/vary", 0);
    let fields = "Cache-Control: max-age=600\nVary: Accept-Language";
    let url = origin.url(&path);
    origin.says(&path, Script::ok(fields, "english"));
    let one = members[1]
        .client
        .get_with(&url, "Accept-Language: en")
        .await;
    assert_eq!(one.text(), "english");
    origin.says(&path, Script::ok(fields, "deutsch"));
    let other = members[2]
        .client
        .get_with(&url, "Accept-Language: de")
        .await;
    assert_eq!(other.text(), "deutsch");
    assert_eq!(origin.count(), 2);
    // The home has both.
    let again = members[2]
        .client
        .get_with(&url, "Accept-Language: en")
        .await;
    assert_eq!(again.text(), "english");
    assert!(again.all("cache-status")[0].starts_with("hedgerow-peer; hit"));
    assert_eq!(origin.count(), 2);
}
