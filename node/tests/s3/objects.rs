//! The same objects by S3 and by the other doors.

use serde_json::Value;

use crate::{client::Ask, house::House};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_door_puts_the_others_have() {
    let mut house = House::new().await;
    let client = house.client().await;
    house
        .api("PUT", "/api/v1/named/photos%2Fcat.jpg", b"purr")
        .await;
    house
        .api("PUT", "/api/v1/named/notes.txt", b"no bucket's")
        .await;
    // A name makes its bucket.
    let buckets = client.get("/").await.ok();
    assert_eq!(buckets.all("Bucket").len(), 1, "{buckets:?}");
    let got = client.get("/photos/cat.jpg").await.ok();
    assert_eq!(got.body, b"purr");
    let tag = got.header("etag").unwrap().to_owned();
    assert!(tag.ends_with("-1\""), "{tag}");
    assert_eq!(got.header("content-type"), Some("binary/octet-stream"));
    let listed = client.get("/photos").await.ok();
    assert_eq!(listed.all("Key"), ["cat.jpg"]);
    assert_eq!(listed.all("ETag")[0].replace("&quot;", "\""), tag);

    let typed =
        Ask::new("PUT", "/photos/dir/", b"").with("content-type", "application/x-directory");
    client.ask(typed).await.ok();
    let typed = Ask::new("PUT", "/photos/dog.txt", b"woof").with("content-type", "text/plain");
    client.ask(typed).await.ok();
    let names = house
        .api("GET", "/api/v1/named?prefix=photos%2F", b"")
        .await;
    let names: Vec<String> = serde_json::from_slice(&names).unwrap();
    assert_eq!(names, ["photos/cat.jpg", "photos/dir%2F", "photos/dog.txt"]);
    let behind = "/api/v1/named?prefix=photos%2F&after=photos%2Fcat.jpg";
    let names = house.api("GET", behind, b"").await;
    let names: Vec<String> = serde_json::from_slice(&names).unwrap();
    assert_eq!(names, ["photos/dir%2F", "photos/dog.txt"]);
    assert_eq!(
        house
            .api("GET", "/api/v1/named/photos%2Fdog.txt", b"")
            .await,
        b"woof"
    );
    // A change by another door is of other content: what was said of it is not true any more.
    let update = br#"{"clauses": [{"do": [{"splice": {"insert": {"bytes": "IQ=="}}}]}]}"#;
    house
        .api("POST", "/api/v1/named/photos%2Fdog.txt/updates", update)
        .await;
    let changed = client.get("/photos/dog.txt").await.ok();
    assert_eq!(changed.body, b"woof!");
    assert!(changed.header("etag").unwrap().ends_with("-1\""));
    // What is brought back is what it was.
    let update = br#"{"clauses": [{"do": [{"restore": "v1"}]}]}"#;
    house
        .api("POST", "/api/v1/named/photos%2Fdog.txt/updates", update)
        .await;
    let back = client.get("/photos/dog.txt").await.ok();
    assert_eq!(back.header("content-type"), Some("text/plain"));
    assert_eq!(back.body, b"woof");

    house.restart().await;
    let client = house.client_of(&client.access_key, &client.secret_key);
    assert_eq!(client.get("/photos/dog.txt").await.ok().body, b"woof");
    assert_eq!(client.get("/photos").await.ok().all("Key").len(), 3);
    client.delete("/photos/cat.jpg").await.ok();
    client.get("/photos/cat.jpg").await.is(404, "NoSuchKey");
    let versions = house
        .api("GET", "/api/v1/named/photos%2Fcat.jpg/versions", b"")
        .await;
    let versions: Value = serde_json::from_slice(&versions).unwrap();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_here_is_said_so() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    client.put("/photos/cat", b"purr").await.ok();
    for (method, path, query) in [
        ("GET", "/photos", "acl"),
        ("GET", "/photos", "policy"),
        ("GET", "/photos", "lifecycle"),
        ("GET", "/photos", "cors"),
        ("GET", "/photos", "tagging"),
        ("GET", "/photos/cat", "acl"),
        ("GET", "/photos/cat", "tagging"),
        ("DELETE", "/photos", "policy"),
    ] {
        let ask = Ask::new(method, path, b"").query(query, "");
        client.ask(ask).await.is(501, "NotImplemented");
    }
    assert_eq!(client.get("/photos/cat").await.ok().body, b"purr");
    let location = Ask::new("GET", "/photos", b"").query("location", "");
    client.ask(location).await.ok();
}
