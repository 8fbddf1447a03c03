//! Versions, delete markers, and what is shown of them.

use crate::{
    client::{Ask, Client},
    house::House,
};

async fn versioning(client: &Client, status: &str) {
    let body =
        format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
    let ask = Ask::new("PUT", "/photos", body.as_bytes()).query("versioning", "");
    client.ask(ask).await.ok();
}

/// Ids of versions and of delete markers, in order, and how many are the latest.
async fn shown(client: &Client) -> (Vec<String>, Vec<String>, usize) {
    let answer = client
        .ask(Ask::new("GET", "/photos", b"").query("versions", ""))
        .await
        .ok();
    let ids = |tag| -> Vec<String> {
        let parts = answer.all(tag).into_iter();
        parts
            .map(|part| {
                part.split("<VersionId>")
                    .nth(1)
                    .unwrap()
                    .split('<')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    let latest = answer
        .all("IsLatest")
        .iter()
        .filter(|is| *is == "true")
        .count();
    (ids("Version"), ids("DeleteMarker"), latest)
}

async fn read(client: &Client, id: &str) -> crate::client::Answer {
    client
        .ask(Ask::new("GET", "/photos/cat", b"").query("versionId", id))
        .await
}

async fn forget(client: &Client, id: &str) {
    let ask = Ask::new("DELETE", "/photos/cat", b"").query("versionId", id);
    client.ask(ask).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_markers_come_and_go() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let path = "/photos/cat";
    client.put(path, b"before").await.ok();
    client.put(path, b"null").await.ok();
    let (ids, markers, latest) = shown(&client).await;
    assert_eq!((ids, markers, latest), (vec!["null".to_owned()], vec![], 1));
    versioning(&client, "Enabled").await;
    let status = client
        .ask(Ask::new("GET", "/photos", b"").query("versioning", ""))
        .await
        .ok();
    assert_eq!(status.all("Status"), ["Enabled"]);

    let put = async |body: &[u8]| {
        let typed =
            Ask::new("PUT", path, body).with("content-type", format!("text/{}", body.len()));
        let answer = client.ask(typed).await.ok();
        answer.header("x-amz-version-id").unwrap().to_owned()
    };
    let one = put(b"one").await;
    let three = put(b"three").await;
    assert_eq!(
        shown(&client).await,
        (vec![three.clone(), one.clone(), "null".into()], vec![], 1)
    );
    assert_eq!(read(&client, &one).await.ok().body, b"one");
    assert_eq!(read(&client, "null").await.ok().body, b"null");
    read(&client, "nonsense").await.is(400, "InvalidArgument");
    let other = house.with_bucket("other").await;
    drop(other);
    let never = "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    read(&client, never).await.is(404, "NoSuchVersion");

    let gone = client.delete(path).await.ok();
    assert_eq!(gone.header("x-amz-delete-marker"), Some("true"));
    let marker = gone.header("x-amz-version-id").unwrap().to_owned();
    let missed = client.get(path).await;
    assert_eq!(missed.header("x-amz-delete-marker"), Some("true"));
    missed.is(404, "NoSuchKey");
    read(&client, &marker).await.is(405, "MethodNotAllowed");
    let (ids, markers, latest) = shown(&client).await;
    assert_eq!((ids.len(), markers, latest), (3, vec![marker.clone()], 1));
    assert!(client.get("/photos").await.ok().all("Key").is_empty());
    client.delete("/photos").await.is(409, "BucketNotEmpty");

    // The marker goes, and what was there is there again, with its own id and type.
    forget(&client, &marker).await;
    let back = client.get(path).await.ok();
    assert_eq!(back.body, b"three");
    assert_eq!(back.header("content-type"), Some("text/5"));
    assert_eq!(back.header("x-amz-version-id"), Some(three.as_str()));
    assert_eq!(client.get("/photos").await.ok().all("Key"), ["cat"]);
    assert_eq!(
        house.api("GET", "/api/v1/named/photos%2Fcat", b"").await,
        b"three"
    );
    // One in the middle, then the newest, then twice the same.
    forget(&client, &one).await;
    read(&client, &one).await.is(404, "NoSuchVersion");
    assert_eq!(client.get(path).await.ok().body, b"three");
    forget(&client, &three).await;
    let null = client.get(path).await.ok();
    assert_eq!(
        (null.body.as_slice(), null.header("x-amz-version-id")),
        (&b"null"[..], Some("null"))
    );
    forget(&client, &three).await;
    // The null version goes as well: not even the one before it comes back.
    forget(&client, "null").await;
    client.get(path).await.is(404, "NoSuchKey");
    assert_eq!(shown(&client).await, (vec![], vec![], 0));
    // What S3 shows no more is in the history all the same.
    assert_eq!(
        house.api("GET", "/api/v1/named/photos%2Fcat@v3", b"").await,
        b"one"
    );
    client.delete("/photos").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_there_is_one_null_version() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let path = "/photos/cat";
    versioning(&client, "Enabled").await;
    let kept = client
        .put(path, b"kept")
        .await
        .ok()
        .header("x-amz-version-id")
        .unwrap()
        .to_owned();
    versioning(&client, "Suspended").await;
    client.put(path, b"first").await.ok();
    let second = client.put(path, b"second").await.ok();
    assert_eq!(second.header("x-amz-version-id"), Some("null"));
    assert_eq!(
        shown(&client).await,
        (vec!["null".into(), kept.clone()], vec![], 1)
    );
    let gone = client.delete(path).await.ok();
    assert_eq!(gone.header("x-amz-version-id"), Some("null"));
    assert_eq!(
        shown(&client).await,
        (vec![kept.clone()], vec!["null".into()], 1)
    );
    forget(&client, "null").await;
    assert_eq!(client.get(path).await.ok().body, b"kept");
    let bad = b"<VersioningConfiguration><Status>Perhaps</Status></VersioningConfiguration>";
    let ask = Ask::new("PUT", "/photos", bad).query("versioning", "");
    assert_eq!(client.ask(ask).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_versions_come_in_pages() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    versioning(&client, "Enabled").await;
    let mut wanted = 0;
    for key in ["a", "b/1", "c"] {
        for body in [&b"1"[..], b"22"] {
            client.put(&format!("/photos/{key}"), body).await.ok();
            wanted += 1;
        }
    }
    client.delete("/photos/c").await.ok();
    wanted += 1;
    let (mut key, mut id) = (String::new(), String::new());
    let mut seen = Vec::new();
    loop {
        let ask = Ask::new("GET", "/photos", b"")
            .query("versions", "")
            .query("max-keys", 2)
            .query("key-marker", &key)
            .query("version-id-marker", &id);
        let answer = client.ask(ask).await.ok();
        seen.extend(answer.all("VersionId"));
        if answer.all("IsTruncated") == ["false"] {
            break;
        }
        key = answer.all("NextKeyMarker").remove(0);
        id = answer.all("NextVersionIdMarker").remove(0);
    }
    assert_eq!(seen.len(), wanted);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), wanted);
    let by_folder = Ask::new("GET", "/photos", b"")
        .query("versions", "")
        .query("delimiter", "/");
    let answer = client.ask(by_folder).await.ok();
    assert_eq!(answer.all("CommonPrefixes"), ["<Prefix>b/</Prefix>"]);
}
