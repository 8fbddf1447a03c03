//! Conditions, of the cache to the origin and of the client to the cache (RFC 9111, 4.3).

use crate::origin::{Client, Origin, Script};

const STALE: &str = "Cache-Control: max-age=0\nETag: \"one\"";

#[tokio::test]
async fn a_stale_answer_is_validated_and_given_without_a_body_from_the_origin() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok(STALE, "hello"));
    let url = origin.url("/a");
    client.get(&url).await;
    let fresh = "Cache-Control: max-age=60\nETag: \"one\"";
    origin.says("/a", Script::raw("304 Not Modified", fresh, b""));
    let reply = client.get(&url).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    assert_eq!(
        reply.cache_status(),
        "hedgerow; fwd=stale; fwd-status=304; stored"
    );
    assert!(
        origin.requests()[1]
            .to_ascii_lowercase()
            .contains("if-none-match: \"one\"")
    );
    // The new age counts.
    assert!(client.get(&url).await.cache_status().contains("hit"));
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn what_has_changed_takes_its_place() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok(STALE, "old"));
    let url = origin.url("/a");
    client.get(&url).await;
    origin.says(
        "/a",
        Script::ok("Cache-Control: max-age=60\nETag: \"two\"", "new"),
    );
    assert_eq!(client.get(&url).await.text(), "new");
    let reply = client.get(&url).await;
    assert_eq!(reply.text(), "new");
    assert!(reply.cache_status().contains("hit"));
    assert_eq!(client.store.objects(), 1);
}

#[tokio::test]
async fn a_client_that_has_it_gets_no_body() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says(
        "/a",
        Script::ok("Cache-Control: max-age=60\nETag: \"one\"", "hello"),
    );
    let url = origin.url("/a");
    client.get(&url).await;
    let known = client.get_with(&url, "If-None-Match: \"one\"").await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert!(known.cache_status().contains("hit"), "{}", known.head);
    let other = client.get_with(&url, "If-None-Match: \"two\"").await;
    assert_eq!((other.status, other.text().as_str()), (200, "hello"));
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn a_client_with_a_copy_asks_through_an_empty_cache() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::raw("304 Not Modified", "ETag: \"one\"", b""));
    let reply = client
        .get_with(&origin.url("/a"), "If-None-Match: \"one\"")
        .await;
    assert_eq!((reply.status, client.store.objects()), (304, 0));
    assert!(
        origin.requests()[0]
            .to_ascii_lowercase()
            .contains("if-none-match: \"one\"")
    );
}

#[tokio::test]
async fn parts_are_given_of_the_whole() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says(
        "/a",
        Script::ok("Cache-Control: max-age=60\nETag: \"one\"", "0123456789"),
    );
    let url = origin.url("/a");
    client.get(&url).await;
    let part = client.get_with(&url, "Range: bytes=2-4").await;
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.field("content-range").as_deref(), Some("bytes 2-4/10"));
    let end = client.get_with(&url, "Range: bytes=-3").await;
    assert_eq!((end.status, end.text().as_str()), (206, "789"));
    let behind = client.get_with(&url, "Range: bytes=10-").await;
    assert_eq!(behind.status, 416);
    assert_eq!(behind.field("content-range").as_deref(), Some("bytes */10"));
    let fields = ["Range: bytes=2-4", "If-Range: \"two\""];
    assert_eq!(client.ask("GET", &url, &fields).await.text(), "0123456789");
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn a_part_is_never_kept_as_the_whole() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let fields = "Cache-Control: max-age=60\nContent-Range: bytes 0-1/10";
    origin.says("/a", Script::status("206 Partial Content", fields, "01"));
    let url = origin.url("/a");
    assert_eq!(client.get_with(&url, "Range: bytes=0-1").await.status, 206);
    assert_eq!(client.store.objects(), 0);
    // An origin that sends a part nobody asked for.
    assert_eq!(client.get(&url).await.status, 206);
    assert_eq!(client.store.objects(), 0);
}

#[tokio::test]
async fn the_age_that_an_origin_says_when_it_is_asked_again_counts() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok(STALE, "hello"));
    let url = origin.url("/a");
    client.get(&url).await;
    // The old head had no such field.
    let old = "Cache-Control: max-age=1000\nAge: 900\nETag: \"one\"";
    origin.says("/a", Script::raw("304 Not Modified", old, b""));
    let reply = client.get(&url).await;
    assert_eq!(reply.text(), "hello");
    let seconds = client.store.list()[0].fresh_seconds;
    assert!(seconds <= 100, "{seconds}");
}

#[tokio::test]
async fn what_an_origin_calls_private_when_it_is_asked_again_is_kept_no_more() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    // Nothing but a validator.
    origin.says("/a", Script::ok("ETag: \"one\"", "hello"));
    let url = origin.url("/a");
    client.get(&url).await;
    assert_eq!(client.store.objects(), 1);
    let private = "Cache-Control: private, max-age=600\nETag: \"one\"";
    origin.says("/a", Script::raw("304 Not Modified", private, b""));
    assert_eq!(client.get(&url).await.text(), "hello");
    assert_eq!(client.store.objects(), 0);
}
