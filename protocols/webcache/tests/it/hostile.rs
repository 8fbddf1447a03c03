//! Requests that are refused.

use std::time::Duration;

use webcache::Config;

use crate::origin::{Client, Origin, ROOM, Script, parse};

#[tokio::test]
async fn shapes_that_two_readers_see_differently_are_refused() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok("", "x"));
    let url = origin.url("/a");
    let host = origin.address;
    for (what, request) in [
        (
            "two lengths",
            format!("POST {url} HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ),
        (
            "no number",
            format!("POST {url} HTTP/1.1\r\nContent-Length: +1\r\n\r\na"),
        ),
        (
            "chunked is not last",
            format!("POST {url} HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked in 1.0",
            format!("POST {url} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "a bare CR",
            format!("GET {url} HTTP/1.1\r\nX: a\rb\r\n\r\n"),
        ),
        (
            "a space before the colon",
            format!("GET {url} HTTP/1.1\r\nHost : {host}\r\n\r\n"),
        ),
        (
            "a folded line",
            format!("GET {url} HTTP/1.1\r\nX: a\r\n b\r\n\r\n"),
        ),
        (
            "another host",
            format!("GET {url} HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n"),
        ),
        (
            "another port",
            format!("GET {url} HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"),
        ),
        (
            "a port that is none",
            format!("GET http://127.0.0.1:{}/a HTTP/1.1\r\n\r\n", 65_536 + 80),
        ),
        (
            "two hosts",
            format!("GET {url} HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n"),
        ),
        (
            "a user",
            format!("GET http://me:pw@{host}/a HTTP/1.1\r\n\r\n"),
        ),
        (
            "no proxy's request",
            "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        ),
        ("https", format!("GET https://{host}/a HTTP/1.1\r\n\r\n")),
        ("ftp", format!("GET ftp://{host}/a HTTP/1.1\r\n\r\n")),
        ("no HTTP", "hello\r\n\r\n".to_owned()),
    ] {
        let request = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        let answer = client.send(request.as_bytes()).await;
        // hyper closes without a word where it cannot even read a first line.
        if !answer.is_empty() {
            assert_eq!(parse(&answer).status, 400, "{what}");
        }
        assert_eq!(origin.count(), 0, "{what} went on");
    }
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_go_on() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok("", "x"));
    let url = origin.url("/a");
    let request = format!(
        "POST {url} HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\n"
    );
    // RFC 9112, 6.3: read as chunks, and nothing behind it on this connection.
    client.send(request.as_bytes()).await;
    // The origin of these tests takes the last chunk for a head of its own.
    let heads = origin.requests().into_iter();
    let heads: Vec<String> = heads.filter(|head| head.contains("HTTP/")).collect();
    assert_eq!(heads.len(), 1, "smuggled: {heads:?}");
    let head = heads[0].to_ascii_lowercase();
    assert!(head.starts_with("post /a "), "{head}");
    assert!(!head.contains("content-length"), "{head}");
}

#[tokio::test]
async fn heads_have_a_limit() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let url = origin.url("/a");
    let fields: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect();
    let many = format!("GET {url} HTTP/1.1\r\n{fields}\r\n");
    assert_eq!(parse(&client.send(many.as_bytes()).await).status, 431);
    let long = format!(
        "GET {url} HTTP/1.1\r\nConnection: close\r\nX: {}\r\n\r\n",
        "a".repeat(80 * 1024)
    );
    let answer = client.send(long.as_bytes()).await;
    if !answer.is_empty() {
        assert_eq!(parse(&answer).status, 431);
    }
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn loops_end() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let url = origin.url("/a");
    let looped = client.get_with(&url, "Via: 1.0 other, 1.1 hedgerow").await;
    assert_eq!((looped.status, origin.count()), (508, 0));
    let options = client.ask("OPTIONS", &url, &["Max-Forwards: 0"]).await;
    assert_eq!((options.status, origin.count()), (200, 0));
    client.ask("OPTIONS", &url, &["Max-Forwards: 5"]).await;
    assert!(
        origin.requests()[0]
            .to_ascii_lowercase()
            .contains("max-forwards: 4")
    );
    assert_eq!(client.ask("TRACE", &url, &[]).await.status, 405);
    // Asked for itself, it would go on asking itself for ever.
    let own = format!("http://{}/", client.proxy.address().unwrap());
    assert_eq!(client.get(&own).await.status, 508);
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let config = Config {
        header_timeout: Duration::from_secs(2),
        max_connections: 1,
        ..Config::default()
    };
    let (origin, client) = (Origin::start().await, Client::with(config, ROOM).await);
    origin.says("/a", Script::ok("", "x"));
    // It has the only place and says nothing; the next has its answer all the same.
    let _slow = client.connect().await;
    assert_eq!(client.get(&origin.url("/a")).await.text(), "x");
}

/// A client that waits for `100 Continue` and is refused sends its next request, not the body.
#[tokio::test]
async fn the_request_after_a_refused_one_is_not_its_body() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok("", "next"));
    let url = origin.url("/a");
    let sent = format!(
        "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n\
         GET {url} HTTP/1.1\r\n\r\n"
    );
    let said = client.send(sent.as_bytes()).await;
    let said = String::from_utf8_lossy(&said).to_lowercase();
    assert!(said.starts_with("http/1.1 400"), "{said}");
    assert!(said.contains("\r\nconnection: close\r\n"), "{said}");
    assert_eq!(
        (said.matches("http/1.1 ").count(), origin.count()),
        (1, 0),
        "{said}"
    );
}
