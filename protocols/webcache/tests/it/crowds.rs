//! More clients than there are places.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use webcache::Config;

use crate::origin::{Client, LIMIT, Origin, ROOM, Script, parse};

fn places(max_connections: usize, max_waiting: usize, place_timeout: u64) -> Config {
    Config {
        max_connections,
        max_waiting,
        place_timeout: Duration::from_secs(place_timeout),
        // Nobody leaves by itself.
        header_timeout: Duration::from_secs(600),
        ..Config::default()
    }
}

/// A request whose answer the origin holds back.
async fn held(origin: &Origin, client: &Client, path: &str) -> TcpStream {
    let script = Script {
        pause_after: Some(1),
        ..Script::ok("Cache-Control: max-age=60", "held")
    };
    origin.says(path, script);
    let mut stream = client.connect().await;
    let request = format!("GET {} HTTP/1.1\r\n\r\n", origin.url(path));
    let before = origin.count();
    stream.write_all(request.as_bytes()).await.unwrap();
    origin.until(before + 1).await;
    stream
}

async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let reading = stream.read_to_end(&mut all);
    let read = tokio::time::timeout(LIMIT, reading).await;
    read.expect("the proxy closes it").unwrap();
    all
}

#[tokio::test]
async fn who_says_nothing_gives_way_to_who_asks() {
    let origin = Origin::start().await;
    let client = Client::with(places(2, 32, 60), ROOM).await;
    origin.says("/a", Script::ok("", "x"));
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(client.connect().await);
    }
    for _ in 0..3 {
        assert_eq!(client.get(&origin.url("/a")).await.text(), "x");
    }
    // The first that came were the first to go, with nothing said.
    assert_eq!(until_closed(&mut silent[0]).await, b"");
    assert_eq!(client.proxy.stats().refused, 0);
}

#[tokio::test]
async fn who_has_been_answered_gives_way_and_loses_nothing() {
    let origin = Origin::start().await;
    let client = Client::with(places(1, 8, 60), ROOM).await;
    origin.says("/a", Script::ok("", "x"));
    let mut first = held(&origin, &client, "/held").await;
    // It waits while the other has its answer coming, and is next although that one stays.
    let url = origin.url("/a");
    let second = client.get(&url);
    let (second, whole) = tokio::join!(second, async {
        origin.go_on();
        until_closed(&mut first).await
    });
    assert_eq!(second.text(), "x");
    assert_eq!(parse(&whole).text(), "held");
}

#[tokio::test]
async fn who_finds_no_place_is_told_so() {
    let origin = Origin::start().await;
    let client = Client::with(places(1, 1, 60), ROOM).await;
    let mut first = held(&origin, &client, "/held").await;
    // One waits; who comes then is refused, and at once.
    let mut waiting = client.connect().await;
    let request = format!("GET {} HTTP/1.1\r\n\r\n", origin.url("/held"));
    waiting.write_all(request.as_bytes()).await.unwrap();
    let refused = client.get(&origin.url("/held")).await;
    assert_eq!(refused.status, 503, "{}", refused.head);
    assert_eq!(refused.field("retry-after").as_deref(), Some("1"));
    let why = refused.field("proxy-status").unwrap();
    assert!(why.ends_with("; error=connection_limit_reached"), "{why}");
    assert_eq!(client.proxy.stats().refused, 1);
    origin.go_on();
    assert_eq!(parse(&until_closed(&mut first).await).text(), "held");
    let mut answer = vec![0; 12];
    waiting.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn who_waits_too_long_is_told_so() {
    let origin = Origin::start().await;
    let client = Client::with(places(1, 8, 2), ROOM).await;
    let _first = held(&origin, &client, "/held").await;
    let late = client.get(&origin.url("/held")).await;
    assert_eq!((late.status, client.proxy.stats().refused), (503, 1));
}

/// Many that all want something large: each has all of it, from a few places.
#[tokio::test]
async fn a_crowd_is_served_from_few_places() {
    let origin = Origin::start().await;
    let client = Client::with(places(4, 100, 60), ROOM).await;
    let body = "0123456789".repeat(100_000);
    origin.says("/a", Script::ok("Cache-Control: max-age=60", &body));
    let url = origin.url("/a");
    let all = (0..40).map(|_| client.get(&url));
    for reply in futures::future::join_all(all).await {
        assert!(reply.text() == body, "{}", reply.head);
    }
    assert_eq!(client.proxy.stats().refused, 0);
}
