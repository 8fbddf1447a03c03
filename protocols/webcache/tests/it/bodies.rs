//! Bodies that end early, have another length, or none.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use webcache::Config;

use crate::origin::{Client, Origin, ROOM, Script, files, parse, until};

#[tokio::test]
async fn a_body_that_ends_early_is_never_kept() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    for (path, fields, body) in [
        ("/length", "Content-Length: 100", "short"),
        ("/chunked", "Transfer-Encoding: chunked", "5\r\nshort\r\n"),
    ] {
        let fields = format!("Cache-Control: max-age=60\n{fields}");
        let cut = Script {
            close: true,
            ..Script::raw("200 OK", &fields, body.as_bytes())
        };
        origin.says(path, cut);
        let url = origin.url(path);
        let request = format!("GET {url} HTTP/1.1\r\nConnection: close\r\n\r\n");
        let answer = client.send(request.as_bytes()).await;
        // The client can tell: fewer bytes than announced, or no last chunk.
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = answer.split_at(end.expect("a head") + 4);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        match path {
            "/length" => {
                assert!(head.contains("content-length: 100\r\n"), "{head}");
                assert!(body.len() < 100, "{} bytes", body.len());
            }
            _ => {
                assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
                assert!(!body.ends_with(b"0\r\n\r\n"), "as if it were whole");
            }
        }
        assert_eq!(client.store.objects(), 0, "{path}");
        // The next asks again, and has the whole.
        origin.says(path, Script::ok("Cache-Control: max-age=60", "whole"));
        assert_eq!(client.get(&url).await.text(), "whole");
        client.store.clear();
    }
    // Nothing is left of what was cut off.
    let folder = client.folder.as_ref().unwrap().path();
    until(|| files(folder).0 == 0).await;
}

#[tokio::test]
async fn a_body_whose_end_is_the_connections_is_handed_on_and_not_kept() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let until_close = Script {
        close: true,
        ..Script::raw(
            "200 OK",
            "Cache-Control: max-age=60",
            b"as long as it lasts",
        )
    };
    origin.says("/a", until_close);
    assert_eq!(
        client.get(&origin.url("/a")).await.text(),
        "as long as it lasts"
    );
    assert_eq!(client.store.objects(), 0);
}

#[tokio::test]
async fn other_codings_than_chunked_say_no_end() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let fields = "Cache-Control: max-age=60\nTransfer-Encoding: gzip";
    let coded = Script {
        close: true,
        ..Script::raw("200 OK", fields, b"as long as it lasts")
    };
    origin.says("/a", coded);
    client.get(&origin.url("/a")).await;
    assert_eq!((client.store.objects(), origin.count()), (0, 1));
    // A length beside chunks says nothing.
    let fields = "Cache-Control: max-age=60\nContent-Length: 3\nTransfer-Encoding: chunked";
    let body = b"5\r\nhello\r\n0\r\n\r\n";
    origin.says("/b", Script::raw("200 OK", fields, body));
    for _ in 0..2 {
        assert_eq!(client.get(&origin.url("/b")).await.text(), "hello");
    }
}

#[tokio::test]
async fn chunked_bodies_are_kept() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let fields = "Cache-Control: max-age=60\nTransfer-Encoding: chunked";
    let body = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    origin.says("/a", Script::raw("200 OK", fields, body));
    let url = origin.url("/a");
    assert_eq!(client.get(&url).await.text(), "hello world");
    let hit = client.get(&url).await;
    assert_eq!(hit.text(), "hello world");
    assert_eq!(hit.field("content-length").as_deref(), Some("11"));
}

#[tokio::test]
async fn what_is_too_large_to_keep_is_handed_on() {
    let origin = Origin::start().await;
    let client = Client::with(webcache::Config::default(), 1024 * 1024).await;
    let body = "x".repeat(600 * 1024);
    origin.says("/a", Script::ok("Cache-Control: max-age=60", &body));
    let reply = client.get(&origin.url("/a")).await;
    assert_eq!(reply.text(), body);
    assert_eq!(client.store.objects(), 0);
}

#[tokio::test]
async fn what_a_client_sends_reaches_the_origin() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok("", "thanks"));
    let url = origin.url("/a");
    let request = format!(
        "POST {url} HTTP/1.1\r\nContent-Length: 0\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nTE: trailers\r\n\r\n"
    );
    let reply = crate::origin::parse(&client.send(request.as_bytes()).await);
    assert_eq!(reply.text(), "thanks");
    let head = origin.requests()[0].to_ascii_lowercase();
    assert!(head.starts_with("post /a http/1.1\r\n"), "{head}");
    assert!(
        head.contains("x-end: 2") && head.contains("via: 1.1 hedgerow"),
        "{head}"
    );
    for hop in ["x-hop", "te:", "connection:", "proxy-connection"] {
        assert!(!head.contains(hop), "{hop} went on:\n{head}");
    }
}

#[tokio::test]
async fn a_body_may_take_longer_than_an_answer_and_must_move() {
    let config = Config {
        answer_timeout: Duration::from_secs(2),
        stall_timeout: Duration::from_secs(2),
        ..Config::default()
    };
    let (origin, client) = (Origin::start().await, Client::with(config, ROOM).await);
    // It answers nothing before it is told to.
    let mut held = Script::ok("", "thanks");
    held.body
        .splice(0..0, std::mem::take(&mut held.head).into_bytes());
    held.pause_after = Some(0);
    origin.says("/a", held);
    let head = format!(
        "POST {} HTTP/1.1\r\nContent-Length: 6\r\nConnection: close\r\n\r\n",
        origin.url("/a")
    );
    let mut slow = client.connect().await;
    slow.write_all(head.as_bytes()).await.unwrap();
    // Longer in all than the answer may take; never as long without a byte.
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        slow.write_all(b"x").await.unwrap();
    }
    origin.go_on();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.unwrap();
    assert_eq!(parse(&answer).text(), "thanks");
    // Half a body, and no more.
    let mut stalled = client.connect().await;
    stalled.write_all(head.as_bytes()).await.unwrap();
    stalled.write_all(b"xxx").await.unwrap();
    let mut answer = Vec::new();
    stalled.read_to_end(&mut answer).await.unwrap();
    let reply = parse(&answer);
    assert_eq!(reply.status, 504);
    assert!(reply.text().contains("request's body"), "{}", reply.text());
}
