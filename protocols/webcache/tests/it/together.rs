//! Several who want the same at one time.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::origin::{Client, Origin, Script, parse};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn simultaneous_misses_ask_once_and_have_what_comes_as_it_comes() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let body: Vec<u8> = (0..4 * MIB).map(|at| (at * 7 % 251) as u8).collect();
    let fields = format!("Cache-Control: max-age=60\nContent-Length: {}", body.len());
    let half = Script {
        pause_after: Some(body.len() / 2),
        ..Script::raw("200 OK", &fields, &body)
    };
    origin.says("/a", half);
    let url = origin.url("/a");
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = client.connect().await;
        let request = format!("GET {url} HTTP/1.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    // Each has the first half while the origin holds the second back.
    let mut got = Vec::new();
    for stream in &mut streams {
        let mut bytes = vec![0; body.len() / 2];
        stream.read_exact(&mut bytes).await.unwrap();
        got.push(bytes);
    }
    origin.go_on();
    let mut collapsed = 0;
    for (mut stream, mut bytes) in streams.into_iter().zip(got) {
        stream.read_to_end(&mut bytes).await.unwrap();
        let reply = parse(&bytes);
        assert!(reply.body == body, "another body");
        collapsed += usize::from(reply.cache_status().ends_with("; collapsed"));
    }
    assert_eq!((origin.count(), collapsed), (1, 19));
}

#[tokio::test]
async fn who_waits_for_what_is_private_asks_by_itself() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok("Cache-Control: private", "mine"));
    let url = origin.url("/a");
    let both = tokio::join!(client.get(&url), client.get(&url));
    assert_eq!(
        (both.0.text(), both.1.text()),
        ("mine".to_owned(), "mine".to_owned())
    );
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_client_that_goes_leaves_the_others_what_comes() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let body = "x".repeat(MIB);
    let half = Script {
        pause_after: Some(1000),
        ..Script::ok("Cache-Control: max-age=60", &body)
    };
    origin.says("/a", half);
    let url = origin.url("/a");
    let request = format!("GET {url} HTTP/1.1\r\nConnection: close\r\n\r\n");
    let (mut first, mut second) = (client.connect().await, client.connect().await);
    let mut start = [0; 100];
    first.write_all(request.as_bytes()).await.unwrap();
    first.read_exact(&mut start).await.unwrap();
    second.write_all(request.as_bytes()).await.unwrap();
    second.read_exact(&mut start).await.unwrap();
    drop(first);
    origin.go_on();
    let mut bytes = start.to_vec();
    second.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(parse(&bytes).text(), body);
    assert_eq!(origin.count(), 1);
}
