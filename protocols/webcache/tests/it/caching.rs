//! What is kept, and what is given from it (RFC 9111, 3 and 4).

use crate::origin::{Client, Origin, Script};

const FRESH: &str = "Cache-Control: max-age=60";

#[tokio::test]
async fn a_fresh_answer_is_a_hit() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok(FRESH, "hello"));
    let first = client.get(&origin.url("/a")).await;
    assert_eq!((first.status, first.text().as_str()), (200, "hello"));
    assert_eq!(
        first.cache_status(),
        "hedgerow; fwd=uri-miss; fwd-status=200; stored"
    );
    let second = client.get(&origin.url("/a")).await;
    assert_eq!((second.status, second.text().as_str()), (200, "hello"));
    assert!(
        second.cache_status().starts_with("hedgerow; hit; ttl="),
        "{}",
        second.head
    );
    assert!(second.field("age").is_some(), "{}", second.head);
    assert_eq!(second.field("via").as_deref(), Some("1.1 hedgerow"));
    assert_eq!(origin.count(), 1);
    let stats = client.proxy.stats();
    assert_eq!(
        (stats.requests, stats.hits, stats.misses, stats.stored),
        (2, 1, 1, 1)
    );
    let kept = client.store.list();
    assert_eq!((kept.len(), kept[0].size, kept[0].status), (1, 5, 200));
}

#[tokio::test]
async fn one_url_has_one_spelling() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/", Script::ok(FRESH, "hello"));
    let port = origin.address.port();
    for url in [
        format!("http://localhost:{port}/"),
        format!("http://LOCALHOST:{port}/"),
        format!("http://localhost:{port}"),
    ] {
        assert_eq!(client.get(&url).await.text(), "hello");
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn what_must_not_be_kept_is_asked_for_each_time() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    for (path, fields) in [
        ("/no-store", "Cache-Control: no-store"),
        ("/private", "Cache-Control: private, max-age=60"),
        ("/cookie", "Cache-Control: max-age=60\nSet-Cookie: a=b"),
        ("/vary", "Cache-Control: max-age=60\nVary: *"),
        ("/nothing", ""),
    ] {
        origin.says(path, Script::ok(fields, "mine"));
        let before = origin.count();
        for _ in 0..2 {
            let reply = client.get(&origin.url(path)).await;
            assert_eq!(reply.text(), "mine");
            assert!(
                !reply.cache_status().contains("stored"),
                "{path}: {}",
                reply.head
            );
        }
        assert_eq!(origin.count(), before + 2, "{path}");
    }
    assert_eq!(client.store.objects(), 0);
}

#[tokio::test]
async fn what_needs_a_password_is_for_who_has_it() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says(
        "/a",
        Script::ok("Cache-Control: public, max-age=60", "secret"),
    );
    let url = origin.url("/a");
    let reply = client.get_with(&url, "Authorization: Basic YTpi").await;
    assert_eq!(reply.text(), "secret");
    assert_eq!(reply.cache_status(), "hedgerow; fwd=bypass; fwd-status=200");
    assert_eq!(client.store.objects(), 0);
    assert!(
        origin.requests()[0]
            .to_ascii_lowercase()
            .contains("authorization: basic")
    );
    // And what is kept is not given to it.
    client.get(&url).await;
    client.get_with(&url, "Authorization: Basic YTpi").await;
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn a_request_may_ask_for_nothing_to_be_kept_or_used() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok(FRESH, "hello"));
    let url = origin.url("/a");
    client.get_with(&url, "Cache-Control: no-store").await;
    assert_eq!(client.store.objects(), 0);
    client.get(&url).await;
    let again = client.get_with(&url, "Cache-Control: no-cache").await;
    assert!(
        again.cache_status().starts_with("hedgerow; fwd=request"),
        "{}",
        again.head
    );
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn variants_are_kept_side_by_side() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let url = origin.url("/a");
    let fields = format!("{FRESH}\nVary: Accept-Language");
    for (language, text) in [("de", "hallo"), ("en", "hello"), ("fr", "salut")] {
        origin.says("/a", Script::ok(&fields, text));
        let field = format!("Accept-Language: {language}");
        assert_eq!(client.get_with(&url, &field).await.text(), text);
    }
    for (language, text) in [("de", "hallo"), ("en", "hello"), ("fr", "salut")] {
        let field = format!("Accept-Language: {language}");
        let reply = client.get_with(&url, &field).await;
        assert_eq!(reply.text(), text);
        assert!(reply.cache_status().contains("hit"), "{}", reply.head);
    }
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn what_has_been_changed_is_not_given_any_more() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok(FRESH, "old"));
    let url = origin.url("/a");
    client.get(&url).await;
    let put = client.ask("PUT", &url, &["Content-Length: 0"]).await;
    assert_eq!(put.cache_status(), "hedgerow; fwd=method; fwd-status=200");
    origin.says("/a", Script::ok(FRESH, "new"));
    assert_eq!(client.get(&url).await.text(), "new");
    // A change that failed has changed nothing.
    origin.says("/a", Script::status("409 Conflict", "", ""));
    client.ask("DELETE", &url, &[]).await;
    assert_eq!(client.get(&url).await.text(), "new");
}

#[tokio::test]
async fn head_is_answered_from_what_get_has_brought() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok(FRESH, "hello"));
    let url = origin.url("/a");
    client.get(&url).await;
    let head = client.ask("HEAD", &url, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.field("content-length").as_deref(), Some("5"));
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn only_if_cached_asks_nobody() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok(FRESH, "hello"));
    let url = origin.url("/a");
    let reply = client.get_with(&url, "Cache-Control: only-if-cached").await;
    assert_eq!((reply.status, origin.count()), (504, 0));
    client.get(&url).await;
    let reply = client.get_with(&url, "Cache-Control: only-if-cached").await;
    assert_eq!((reply.status, origin.count()), (200, 1));
}

#[tokio::test]
async fn an_errors_answer_may_be_kept_too() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::status("404 Not Found", FRESH, "no"));
    let url = origin.url("/a");
    client.get(&url).await;
    let reply = client.get(&url).await;
    assert_eq!(
        (reply.status, reply.text().as_str(), origin.count()),
        (404, "no", 1)
    );
}
