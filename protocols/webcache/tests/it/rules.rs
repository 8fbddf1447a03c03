//! What answers and requests say that the rules of caching would read otherwise.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::origin::{Client, Origin, Script, parse};

const FRESH: &str = "Cache-Control: max-age=60";

#[tokio::test]
async fn directives_count_however_they_are_spelt() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    for (path, fields) in [
        ("/private", "Cache-Control: Private, Max-Age=60"),
        (
            "/no-store",
            "Cache-Control: max-age=60\nCache-Control: No-Store",
        ),
        ("/unreadable", "Cache-Control: max-age=60, x=\u{e9}"),
    ] {
        origin.says(path, Script::ok(fields, "mine"));
        for _ in 0..2 {
            client.get(&origin.url(path)).await;
        }
        assert_eq!(client.store.objects(), 0, "{path}");
    }
    assert_eq!(origin.count(), 6);
    origin.says("/a", Script::ok(FRESH, "a"));
    let url = origin.url("/a");
    client.get_with(&url, "Cache-Control: No-Store").await;
    assert_eq!(client.store.objects(), 0);
    client.get(&url).await;
    client.get_with(&url, "Cache-Control: No-Cache").await;
    assert_eq!(origin.count(), 9);
}

#[tokio::test]
async fn what_is_stale_as_it_comes_is_for_who_asked() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let body = "x".repeat(1000);
    let half = Script {
        pause_after: Some(500),
        ..Script::ok("Cache-Control: no-cache\nETag: \"one\"", &body)
    };
    origin.says("/a", half);
    let url = origin.url("/a");
    let request = format!("GET {url} HTTP/1.1\r\nConnection: close\r\n\r\n");
    let mut first = client.connect().await;
    first.write_all(request.as_bytes()).await.unwrap();
    let mut start = [0; 100];
    first.read_exact(&mut start).await.unwrap();
    // The first is on its way; the second is asked for all the same.
    let second = client.get(&url);
    let asked = async {
        origin.until(2).await;
        origin.go_on();
        origin.go_on();
    };
    let (second, ()) = tokio::join!(second, asked);
    assert_eq!(second.text(), body);
    assert!(
        !second.cache_status().contains("collapsed"),
        "{}",
        second.head
    );
    let mut bytes = start.to_vec();
    first.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(parse(&bytes).text(), body);
}

#[tokio::test]
async fn who_takes_stale_answers_has_none_that_must_be_validated() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    for (path, directives) in [
        ("/no-cache", "Cache-Control: no-cache"),
        ("/proxy", "Cache-Control: max-age=0, Proxy-Revalidate"),
        ("/shared", "Cache-Control: s-maxage=0"),
        ("/pragma", "Pragma: no-cache"),
    ] {
        let fields = format!("{directives}\nETag: \"one\"");
        origin.says(path, Script::ok(&fields, "old"));
        let url = origin.url(path);
        client.get(&url).await;
        origin.says(path, Script::ok(&fields, "new"));
        let reply = client.get_with(&url, "Cache-Control: Max-Stale").await;
        assert_eq!(reply.text(), "new", "{path}");
    }
    // One that need not be is given.
    let fields = "Cache-Control: max-age=0\nETag: \"one\"";
    origin.says("/a", Script::ok(fields, "old"));
    client.get(&origin.url("/a")).await;
    let count = origin.count();
    let reply = client
        .get_with(&origin.url("/a"), "Cache-Control: Max-Stale")
        .await;
    assert_eq!((reply.text().as_str(), origin.count()), ("old", count));
}

#[tokio::test]
async fn no_age_is_too_great() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let fields = format!("{FRESH}\nETag: \"one\"\nAge: {}", u64::MAX);
    origin.says("/a", Script::ok(&fields, "old"));
    let url = origin.url("/a");
    assert_eq!(client.get(&url).await.text(), "old");
    let not_modified = Script::raw("304 Not Modified", &fields, b"");
    origin.says("/a", not_modified);
    for _ in 0..2 {
        assert_eq!(client.get(&url).await.text(), "old");
    }
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn of_a_request_only_what_decides_is_kept() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let fields = format!("{FRESH}\nETag: \"one\"\nVary: Accept, Host, X-Hop");
    origin.says("/a", Script::ok(&fields, "hello"));
    let url = origin.url("/a");
    let sent = [
        "Accept: text/plain",
        "Cookie: name=secret",
        "Proxy-Authorization: Basic secret",
        "Connection: X-Hop",
        "X-Hop: secret",
    ];
    client.ask("GET", &url, &sent).await;
    let validated = [&sent[..], &["Cache-Control: no-cache"]].concat();
    let kept = || {
        let folder = client.folder.as_ref().unwrap().path();
        let files = std::fs::read_dir(folder).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let meta = paths.filter(|path| path.extension().is_some_and(|end| end == "meta"));
        let texts: Vec<String> = meta
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        texts.concat()
    };
    let before = kept();
    assert!(before.contains("text/plain") && !before.contains("secret"));
    origin.says("/a", Script::raw("304 Not Modified", "ETag: \"one\"", b""));
    assert_eq!(client.ask("GET", &url, &validated).await.text(), "hello");
    let after = kept();
    assert!(after.contains("text/plain") && !after.contains("secret"));
    // `Host` is in the URL, and a field of the client's hop was never sent on.
    let hit = client.get_with(&url, "Accept: text/plain").await;
    assert!(hit.cache_status().contains("; hit"), "{}", hit.head);
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_hit_has_every_line_of_a_field() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let fields = format!(
        "{FRESH}\nLink: <a>\nLink: <b>\nContent-Security-Policy: default-src 'self'\n\
         Content-Security-Policy: object-src 'none'\nVary: Accept\nVary: Accept-Language"
    );
    origin.says("/a", Script::ok(&fields, "hello"));
    let url = origin.url("/a");
    client.get(&url).await;
    let hit = client.get(&url).await;
    assert!(hit.cache_status().contains("; hit"), "{}", hit.head);
    assert_eq!(hit.field("link").as_deref(), Some("<a>, <b>"));
    assert_eq!(
        hit.field("content-security-policy").as_deref(),
        Some("default-src 'self', object-src 'none'")
    );
    assert_eq!(
        hit.field("vary").as_deref(),
        Some("Accept, Accept-Language")
    );
    let date = hit.field("date").unwrap();
    let date = httpdate::parse_http_date(&date).unwrap_or_else(|_| panic!("no HTTP-date: {date}"));
    assert!(date.elapsed().unwrap() < Duration::from_secs(600));
    assert!(hit.field("date").unwrap().ends_with(" GMT"));
    let other = client.get_with(&url, "Accept-Language: nl").await;
    assert!(!other.cache_status().contains("; hit"), "{}", other.head);
}

#[tokio::test]
async fn what_varies_no_more_has_one_answer() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let url = origin.url("/a");
    origin.says(
        "/a",
        Script::ok(&format!("{FRESH}\nVary: Accept"), "varies"),
    );
    client.get_with(&url, "Accept: text/plain").await;
    origin.says("/a", Script::ok(FRESH, "one for all"));
    for accept in ["Accept: text/html", "Accept: text/css"] {
        assert_eq!(client.get_with(&url, accept).await.text(), "one for all");
    }
    assert_eq!(origin.count(), 2);
}
