//! Parts of objects, and conditions.

use crate::{client::Ask, house::House};

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_gets_the_part_that_is_asked_for() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let content: Vec<u8> = (0..3_000_000u32).map(|at| (at / 7) as u8).collect();
    client.put("/photos/cat", &content).await.ok();
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=1048570-1048580", 1_048_570..1_048_581),
        ("bytes=2999990-", 2_999_990..3_000_000),
        ("bytes=-5", 2_999_995..3_000_000),
        ("bytes=5-99999999", 5..3_000_000),
    ] {
        let ask = Ask::new("GET", "/photos/cat", b"").with("range", range);
        let answer = client.ask(ask).await;
        assert_eq!(answer.status, 206);
        assert!(answer.body == content[part.clone()], "{range}");
        let said = format!("bytes {}-{}/3000000", part.start, part.end - 1);
        assert_eq!(answer.header("content-range"), Some(said.as_str()));
        let ask = Ask::new("HEAD", "/photos/cat", b"").with("range", range);
        let head = client.ask(ask).await;
        assert_eq!(
            head.header("content-length"),
            Some(part.len().to_string().as_str())
        );
    }
    for range in ["bytes=3000000-", "bytes=-0"] {
        let ask = Ask::new("GET", "/photos/cat", b"").with("range", range);
        client.ask(ask).await.is(416, "InvalidRange");
    }
    client.put("/photos/empty", b"").await.ok();
    for range in ["bytes=0-", "bytes=-5"] {
        let ask = Ask::new("GET", "/photos/empty", b"").with("range", range);
        client.ask(ask).await.is(416, "InvalidRange");
    }
    assert_eq!(client.get("/photos/empty").await.ok().body, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_knows_is_not_sent_again() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let ask = Ask::new("PUT", "/photos/cat", b"purr")
        .with("content-type", "text/plain; charset=utf-8")
        .with("cache-control", "no-cache")
        .with("x-amz-meta-colour", "black")
        .with("expires", "Thu, 01 Dec 2033 16:00:00 GMT");
    let tag = client
        .ask(ask)
        .await
        .ok()
        .header("etag")
        .unwrap()
        .to_owned();
    let head = client.ask(Ask::new("HEAD", "/photos/cat", b"")).await.ok();
    assert_eq!(
        head.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(head.header("cache-control"), Some("no-cache"));
    assert_eq!(head.header("x-amz-meta-colour"), Some("black"));
    assert_eq!(
        head.header("expires"),
        Some("Thu, 01 Dec 2033 16:00:00 GMT")
    );
    assert_eq!(head.header("x-amz-version-id"), None);
    let time = head.header("last-modified").unwrap().to_owned();
    let before = "Thu, 01 Jan 2015 00:00:00 GMT".to_owned();
    let other = "\"00000000000000000000000000000000\"".to_owned();
    for (name, value, status) in [
        ("if-match", &tag, 200),
        ("if-match", &other, 412),
        ("if-none-match", &tag, 304),
        ("if-none-match", &other, 200),
        ("if-modified-since", &time, 304),
        ("if-modified-since", &before, 200),
        ("if-unmodified-since", &time, 200),
        ("if-unmodified-since", &before, 412),
    ] {
        for method in ["GET", "HEAD"] {
            let ask = Ask::new(method, "/photos/cat", b"").with(name, value);
            let answer = client.ask(ask).await;
            assert_eq!(answer.status, status, "{method} {name}: {value}");
        }
    }
    let copied = Ask::new("PUT", "/photos/copy", b"").with("x-amz-copy-source", "/photos/cat");
    client.ask(copied).await.ok();
    let copy = client.get("/photos/copy").await.ok();
    assert_eq!(copy.header("x-amz-meta-colour"), Some("black"));
    assert_eq!(copy.header("etag"), Some(tag.as_str()));
    let itself = Ask::new("PUT", "/photos/cat", b"").with("x-amz-copy-source", "/photos/cat");
    client.ask(itself.clone()).await.is(400, "InvalidRequest");
    let replaced = itself
        .with("x-amz-metadata-directive", "REPLACE")
        .with("x-amz-meta-colour", "white");
    client.ask(replaced).await.ok();
    let white = client.get("/photos/cat").await.ok();
    assert_eq!(white.header("x-amz-meta-colour"), Some("white"));
    assert_eq!(white.header("cache-control"), None);
    let unwanted = Ask::new("PUT", "/photos/copy", b"")
        .with("x-amz-copy-source", "/photos/cat")
        .with("x-amz-copy-source-if-none-match", &tag);
    client.ask(unwanted).await.is(412, "PreconditionFailed");
    for (name, value, status) in [
        ("if-none-match", "*", 412),
        ("if-match", &other, 412),
        ("if-match", "no tag", 400),
        ("if-match", &tag, 200),
    ] {
        let onto = Ask::new("PUT", "/photos/copy", b"")
            .with("x-amz-copy-source", "/photos/cat")
            .with(name, value);
        let answer = client.ask(onto).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_clients_at_once_one_wins_and_none_is_lost() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let writes = (0..8).map(|which| {
        let client = client.clone();
        async move {
            let body = format!("{which}");
            let ask = Ask::new("PUT", "/photos/cat", body.as_bytes()).with("if-none-match", "*");
            (which, client.ask(ask).await)
        }
    });
    let written = futures::future::join_all(writes).await;
    let (won, lost): (Vec<_>, Vec<_>) = written
        .into_iter()
        .partition(|(_, answer)| answer.status == 200);
    assert_eq!(won.len(), 1, "{won:?}");
    for (_, answer) in lost {
        answer.is(412, "PreconditionFailed");
    }
    let (winner, answer) = &won[0];
    assert_eq!(
        client.get("/photos/cat").await.ok().text(),
        winner.to_string()
    );

    let tag = answer.header("etag").unwrap().to_owned();
    let changes = (0..4).map(|which| {
        let (client, tag) = (client.clone(), tag.clone());
        async move {
            let body = format!("changed {which}");
            let ask = Ask::new("PUT", "/photos/cat", body.as_bytes()).with("if-match", tag);
            client.ask(ask).await.status
        }
    });
    let mut changed = futures::future::join_all(changes).await;
    changed.sort_unstable();
    assert_eq!(changed, [200, 412, 412, 412]);

    let without = (0..8).map(|which| {
        let client = client.clone();
        async move {
            client
                .put("/photos/cat", format!("{which}").as_bytes())
                .await
                .ok()
        }
    });
    futures::future::join_all(without).await;
    assert_eq!(client.get("/photos/cat").await.ok().body.len(), 1);
    let gone = Ask::new("PUT", "/photos/dog", b"x").with("if-match", tag);
    client.ask(gone).await.is(404, "NoSuchKey");
}
