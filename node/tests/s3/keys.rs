//! Keys of every kind, and lists of them.

use std::collections::BTreeSet;

use crate::{
    client::{Ask, Client, encoded},
    house::House,
};

#[tokio::test(flavor = "multi_thread")]
async fn each_key_is_a_key_of_its_own() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    let long = "k".repeat(1024);
    let mut keys: Vec<String> = [
        "cat.jpg",
        "dir/",
        "dir/cat",
        "dir//cat",
        "//",
        "/lead",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "a//",
        "a b+c&d=e?f#g",
        "100%",
        "100%2F",
        "100%252F",
        "ü",
        "u\u{308}",
        "猫/🐈",
        "tab\tline\nend",
        "cat@v3",
        "cat@v3@v4",
        "\"quoted\" <tag> &amp;",
        "~tilde",
        "back\\slash",
        "a:b",
    ]
    .map(str::to_owned)
    .to_vec();
    keys.extend([
        cid.to_owned(),
        format!("cat@{cid}"),
        format!("ipfs/{cid}"),
        long,
    ]);
    for key in &keys {
        let path = format!("/photos/{}", encoded(key));
        client.put(&path, key.as_bytes()).await.ok();
    }
    for key in &keys {
        let path = format!("/photos/{}", encoded(key));
        assert_eq!(client.get(&path).await.ok().body, key.as_bytes(), "{key:?}");
    }
    let list = Ask::new("GET", "/photos", b"")
        .query("list-type", 2)
        .query("encoding-type", "url");
    let listed: BTreeSet<String> = client.ask(list).await.ok().all("Key").into_iter().collect();
    let wanted: BTreeSet<String> = keys.iter().map(|key| encoded(key)).collect();
    assert_eq!(listed, wanted);
    for key in &keys {
        client
            .delete(&format!("/photos/{}", encoded(key)))
            .await
            .ok();
    }
    let list = Ask::new("GET", "/photos", b"").query("list-type", 2);
    assert!(client.ask(list).await.ok().all("Key").is_empty());
    client.delete("/photos").await.ok();
    client.get("/photos").await.is(404, "NoSuchBucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_key_is_refused() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let long = "k".repeat(1025);
    for (key, code) in [
        ("a%00b", "InvalidArgument"),
        ("%01", "InvalidArgument"),
        ("%EF%BF%BE", "InvalidArgument"),
        (&long, "KeyTooLongError"),
    ] {
        client
            .put(&format!("/photos/{key}"), b"x")
            .await
            .is(400, code);
    }
    let refused = client.put("/photos/%FF", b"x").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let long = "k".repeat(4096);
    client
        .put(&format!("/photos/{long}"), b"x")
        .await
        .is(400, "KeyTooLongError");
    for bucket in ["ab", "UPPER", "a_b", "-ab", "..", "192.168.0.1"] {
        client
            .put(&format!("/{bucket}"), b"")
            .await
            .is(400, "InvalidBucketName");
    }
    client
        .put("/nothing/cat", b"x")
        .await
        .is(404, "NoSuchBucket");
    client.get("/nothing").await.is(404, "NoSuchBucket");
    client
        .put("/photos", b"")
        .await
        .is(409, "BucketAlreadyOwnedByYou");
}

async fn page(client: &Client, query: &[(&'static str, &str)]) -> (Vec<String>, Option<String>) {
    let mut ask = Ask::new("GET", "/photos", b"");
    for (name, value) in query {
        ask = ask.query(name, value);
    }
    let answer = client.ask(ask).await.ok();
    let mut found = answer.all("Key");
    // Common prefixes have the request's own beside them.
    found.extend(
        answer
            .all("CommonPrefixes")
            .into_iter()
            .map(|part| part.replace("<Prefix>", "").replace("</Prefix>", "")),
    );
    let next = [
        answer.all("NextContinuationToken"),
        answer.all("NextMarker"),
    ]
    .concat();
    (found, next.into_iter().next())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_and_by_folder() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    for key in ["a", "b/1", "b/2", "b/c/3", "b0", "d/4"] {
        client
            .put(&format!("/photos/{key}"), key.as_bytes())
            .await
            .ok();
    }
    let v2 = ("list-type", "2");
    let (all, next) = page(&client, &[v2]).await;
    assert_eq!(
        (all, next),
        (
            ["a", "b/1", "b/2", "b/c/3", "b0", "d/4"]
                .map(String::from)
                .to_vec(),
            None
        )
    );
    for version in [v2, ("marker", "")] {
        let mut seen = Vec::new();
        let mut place: Option<String> = None;
        loop {
            let mut query = vec![version, ("delimiter", "/"), ("max-keys", "1")];
            let name = if version == v2 {
                "continuation-token"
            } else {
                "marker"
            };
            if let Some(place) = &place {
                query.retain(|(known, _)| *known != name);
                query.push((name, place.as_str()));
            }
            let (found, next) = page(&client, &query).await;
            assert_eq!(found.len(), 1);
            seen.extend(found);
            place = next;
            if place.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["a", "b/", "b0", "d/"], "{version:?}");
    }
    let (within, _) = page(&client, &[v2, ("delimiter", "/"), ("prefix", "b/")]).await;
    assert_eq!(within, ["b/1", "b/2", "b/c/"]);
    let (after, _) = page(&client, &[v2, ("start-after", "b/2")]).await;
    assert_eq!(after, ["b/c/3", "b0", "d/4"]);
    let (none, next) = page(&client, &[v2, ("max-keys", "0")]).await;
    assert!(none.is_empty() && next.is_none());
    for (name, value) in [
        ("max-keys", "-1"),
        ("continuation-token", "!"),
        ("encoding-type", "xml"),
    ] {
        let ask = Ask::new("GET", "/photos", b"")
            .query("list-type", 2)
            .query(name, value);
        client.ask(ask).await.is(400, "InvalidArgument");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_keys_are_removed_at_once() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    for key in ["a", "b"] {
        client.put(&format!("/photos/{key}"), b"x").await.ok();
    }
    client.delete("/photos").await.is(409, "BucketNotEmpty");
    let body = b"<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object><Object><Key>never</Key></Object><Object><Key></Key></Object></Delete>";
    let gone = client
        .ask(Ask::new("POST", "/photos", body).query("delete", ""))
        .await
        .ok();
    assert_eq!(gone.all("Deleted").len(), 3, "{gone:?}");
    assert_eq!(gone.all("Error").len(), 1, "{gone:?}");
    let many = "<Object><Key>k</Key></Object>".repeat(1001);
    let many = format!("<Delete>{many}</Delete>");
    let ask = Ask::new("POST", "/photos", many.as_bytes()).query("delete", "");
    client.ask(ask).await.is(400, "MalformedXML");
    let ask = Ask::new("POST", "/photos", b"<Delete><nonsense").query("delete", "");
    client.ask(ask).await.is(400, "MalformedXML");
    client.delete("/photos").await.ok();
}
