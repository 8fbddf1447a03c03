//! Stale answers that are better than none (RFC 5861), and none at all.

use webcache::Config;

use crate::origin::{Client, LIMIT, Origin, ROOM, Script, until};

#[tokio::test]
async fn an_origin_that_fails_is_stood_in_for() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let fields = "Cache-Control: max-age=0, stale-if-error=60\nETag: \"one\"";
    origin.says("/a", Script::ok(fields, "hello"));
    let url = origin.url("/a");
    client.get(&url).await;
    origin.says("/a", Script::status("503 Service Unavailable", "", "down"));
    let reply = client.get(&url).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    assert_eq!(
        reply.cache_status(),
        "hedgerow; fwd=stale; fwd-status=503; detail=stale-if-error"
    );
}

#[tokio::test]
async fn what_must_be_revalidated_stands_in_for_nothing() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let fields = "Cache-Control: max-age=0, stale-if-error=60, must-revalidate\nETag: \"one\"";
    origin.says("/a", Script::ok(fields, "hello"));
    let url = origin.url("/a");
    client.get(&url).await;
    origin.says("/a", Script::status("503 Service Unavailable", "", "down"));
    assert_eq!(client.get(&url).await.status, 503);
}

#[tokio::test]
async fn a_stale_answer_is_given_while_it_is_renewed() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let fields = "Cache-Control: max-age=0, stale-while-revalidate=60\nETag: \"one\"";
    origin.says("/a", Script::ok(fields, "old"));
    let url = origin.url("/a");
    client.get(&url).await;
    origin.says(
        "/a",
        Script::ok("Cache-Control: max-age=60\nETag: \"two\"", "new"),
    );
    let reply = client.get(&url).await;
    assert_eq!(reply.text(), "old");
    assert!(
        reply
            .cache_status()
            .contains("detail=stale-while-revalidate"),
        "{}",
        reply.head
    );
    origin.until(2).await;
    // Whoever comes while it is on its way waits for it or has the old one; then it is new.
    let renewed = async {
        while client.get(&url).await.text() != "new" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, renewed)
        .await
        .expect("it stays old");
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn who_waits_for_an_origin_that_fails_has_the_stale_answer_too() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let fields = "Cache-Control: max-age=0, stale-if-error=60\nETag: \"one\"";
    origin.says("/a", Script::ok(fields, "hello"));
    let url = origin.url("/a");
    client.get(&url).await;
    // The head is held back, so that both wait for it.
    let mut down = Script::status("503 Service Unavailable", "", "down");
    let head = std::mem::take(&mut down.head);
    down.body.splice(0..0, head.into_bytes());
    down.pause_after = Some(0);
    origin.says("/a", down);
    let asked = async {
        origin.until(2).await;
        until(|| client.proxy.stats().requests == 3).await;
        origin.go_on();
        origin.go_on();
    };
    let (first, second, ()) = tokio::join!(client.get(&url), client.get(&url), asked);
    for reply in [first, second] {
        assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn an_origin_out_of_reach_is_a_clear_failure() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.stop();
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let reply = client.get(&format!("http://{unused}/")).await;
    assert_eq!(reply.status, 502);
    let said = reply.field("proxy-status");
    assert_eq!(
        said.as_deref(),
        Some("hedgerow; error=destination_unavailable")
    );
    assert!(
        reply.text().contains(&unused.to_string()),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn offline_gives_what_there_is() {
    let origin = Origin::start().await;
    let folder = tempfile::tempdir().unwrap();
    origin.says(
        "/a",
        Script::ok("Cache-Control: max-age=0\nETag: \"one\"", "hello"),
    );
    let url = origin.url("/a");
    let client = Client::open(folder.path(), Config::default(), ROOM).await;
    client.get(&url).await;
    let offline = Config {
        offline: true,
        ..Config::default()
    };
    let store = client.store.clone();
    let listen = "127.0.0.1:0".parse().unwrap();
    let proxy = webcache::Proxy::bind(listen, offline, store).await.unwrap();
    let address = proxy.address().unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let until = stop.clone();
    let serving = tokio::spawn(async move { proxy.serve(until).await });
    let ask = async |url: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {url} HTTP/1.1\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .unwrap();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer)
            .await
            .unwrap();
        crate::origin::parse(&answer)
    };
    let kept = ask(&url).await;
    assert_eq!((kept.status, kept.text().as_str()), (200, "hello"));
    assert!(
        kept.cache_status().contains("detail=offline"),
        "{}",
        kept.head
    );
    assert_eq!(ask(&origin.url("/b")).await.status, 504);
    assert_eq!(origin.count(), 1);
    stop.cancel();
    serving.await.unwrap();
}
