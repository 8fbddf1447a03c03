//! Uploads in parts.

use crate::{
    client::{Answer, Ask, Client},
    house::House,
};

const MIB: usize = 1 << 20;

async fn begin(client: &Client, path: &str) -> String {
    let ask = Ask::new("POST", path, b"")
        .query("uploads", "")
        .with("content-type", "video/mp4");
    client.ask(ask).await.ok().all("UploadId").remove(0)
}

async fn part(client: &Client, path: &str, upload: &str, number: i32, body: &[u8]) -> Answer {
    let ask = Ask::new("PUT", path, body)
        .query("partNumber", number)
        .query("uploadId", upload);
    client.ask(ask).await
}

async fn complete(client: &Client, path: &str, upload: &str, parts: &[(i32, &str)]) -> Answer {
    let parts = parts.iter().map(|(number, tag)| {
        let tag = tag.replace('"', "&quot;");
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
    });
    let body = format!(
        "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
        parts.collect::<String>()
    );
    let ask = Ask::new("POST", path, body.as_bytes()).query("uploadId", upload);
    client.ask(ask).await
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_become_one_object_in_whatever_order_they_come() {
    let mut house = House::new().await;
    let client = house.with_bucket("films").await;
    let path = "/films/cat.mp4";
    let whole: Vec<u8> = (0..13 * MIB).map(|at| (at / 1000) as u8).collect();
    let upload = begin(&client, path).await;
    let third = part(&client, path, &upload, 30, &whole[12 * MIB..])
        .await
        .ok();
    let first = part(&client, path, &upload, 1, b"sent by mistake")
        .await
        .ok();
    let stale = first.header("etag").unwrap().to_owned();
    let first = part(&client, path, &upload, 1, &whole[..6 * MIB])
        .await
        .ok();
    // What is acknowledged outlives the node.
    house.restart().await;
    let client = house.client_of(&client.access_key, &client.secret_key);
    let second = part(&client, path, &upload, 2, &whole[6 * MIB..12 * MIB])
        .await
        .ok();
    let tag = |answer: &Answer| answer.header("etag").unwrap().to_owned();
    let (first, second, third) = (tag(&first), tag(&second), tag(&third));

    let listed = Ask::new("GET", path, b"")
        .query("uploadId", &upload)
        .query("max-parts", 2);
    let listed = client.ask(listed).await.ok();
    assert_eq!(listed.all("PartNumber"), ["1", "2"]);
    assert_eq!(listed.all("IsTruncated"), ["true"]);
    let uploads = Ask::new("GET", "/films", b"").query("uploads", "");
    assert_eq!(
        client.ask(uploads.clone()).await.ok().all("UploadId"),
        [upload.as_str()]
    );

    let all = [
        (1, first.as_str()),
        (2, second.as_str()),
        (30, third.as_str()),
    ];
    for (parts, code) in [
        (
            &[(2, second.as_str()), (1, first.as_str())][..],
            "InvalidPartOrder",
        ),
        (
            &[(1, first.as_str()), (1, first.as_str())],
            "InvalidPartOrder",
        ),
        (&[(1, first.as_str()), (3, second.as_str())], "InvalidPart"),
        (&[(1, stale.as_str()), (2, second.as_str())], "InvalidPart"),
        (&[], "MalformedXML"),
    ] {
        complete(&client, path, &upload, parts).await.is(400, code);
    }
    client.get(path).await.is(404, "NoSuchKey");
    let done = complete(&client, path, &upload, &all).await.ok();
    assert!(
        done.text().contains("-3&quot;") || done.text().contains("-3\""),
        "{done:?}"
    );
    let got = client.get(path).await.ok();
    assert!(got.body == whole);
    assert_eq!(got.header("content-type"), Some("video/mp4"));
    assert!(client.ask(uploads).await.ok().all("UploadId").is_empty());
    complete(&client, path, &upload, &all)
        .await
        .is(404, "NoSuchUpload");
    // Whole chunks long, the parts are what the whole in one piece would be: nothing was
    // written anew.
    client.put("/films/whole", &whole).await.ok();
    let root = async |name: &str| {
        let told = house
            .api("GET", &format!("/api/v1/named/films%2F{name}/version"), b"")
            .await;
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        told["root"].clone()
    };
    assert_eq!(root("cat.mp4").await, root("whole").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_missing_and_foreign_parts_are_refused() {
    let house = House::new().await;
    let client = house.with_bucket("films").await;
    let upload = begin(&client, "/films/a").await;
    for (number, status) in [(0, 400), (-1, 400), (10_001, 400), (1, 200), (2, 200)] {
        let answer = part(&client, "/films/a", &upload, number, b"small").await;
        assert_eq!(answer.status, status, "{number}: {answer:?}");
    }
    let tag = "\"eb5c1399a871211c7e7ed732d15e3a8b\"";
    let both = [(1, tag), (2, tag)];
    complete(&client, "/films/a", &upload, &both)
        .await
        .is(400, "EntityTooSmall");
    complete(&client, "/films/b", &upload, &both[..1])
        .await
        .is(404, "NoSuchUpload");
    part(&client, "/films/b", &upload, 1, b"x")
        .await
        .is(404, "NoSuchUpload");
    part(&client, "/films/a", "../../s3.keys", 1, b"x")
        .await
        .is(404, "NoSuchUpload");
    let listed = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>";
    let untagged = Ask::new("POST", "/films/a", listed).query("uploadId", &upload);
    client.ask(untagged).await.is(400, "InvalidPart");
    let wrong = Ask::new("PUT", "/films/a", b"x")
        .query("partNumber", 3)
        .query("uploadId", &upload)
        .with("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
    client.ask(wrong).await.is(400, "BadDigest");
    let gone = Ask::new("DELETE", "/films/a", b"").query("uploadId", &upload);
    client.ask(gone.clone()).await.ok();
    client.ask(gone).await.is(404, "NoSuchUpload");
    part(&client, "/films/a", &upload, 1, b"x")
        .await
        .is(404, "NoSuchUpload");
    assert_eq!(
        std::fs::read_dir(house.home().join("uploads"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_completions_at_once_one_is_the_upload() {
    let house = House::new().await;
    let client = house.with_bucket("films").await;
    let upload = begin(&client, "/films/a").await;
    let sent = part(&client, "/films/a", &upload, 1, b"small").await.ok();
    let parts = [(1, sent.header("etag").unwrap())];
    let all = (0..4).map(|_| complete(&client, "/films/a", &upload, &parts));
    let answers = futures::future::join_all(all).await;
    let (done, late): (Vec<Answer>, Vec<Answer>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(done.len(), 1, "{late:?}");
    for late in late {
        late.is(404, "NoSuchUpload");
    }
    let told = house
        .api("GET", "/api/v1/named/films%2Fa/version", b"")
        .await;
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["version"], 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_where_its_last_upload_is_over() {
    let house = House::new().await;
    let client = house.with_bucket("films").await;
    for key in ["/films/a", "/films/b", "/films/c"] {
        begin(&client, key).await;
    }
    let list = Ask::new("GET", "/films", b"")
        .query("uploads", "")
        .query("max-uploads", 2);
    let first = client.ask(list.clone()).await.ok();
    let (key, id) = (first.all("NextKeyMarker"), first.all("NextUploadIdMarker"));
    let gone = Ask::new("DELETE", "/films/b", b"").query("uploadId", &id[0]);
    client.ask(gone).await.ok();
    let next = list
        .query("key-marker", &key[0])
        .query("upload-id-marker", &id[0]);
    assert_eq!(client.ask(next).await.ok().all("Key"), ["c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_copied_from_objects() {
    let house = House::new().await;
    let client = house.with_bucket("films").await;
    let whole: Vec<u8> = (0..8 * MIB).map(|at| (at / 999) as u8).collect();
    client.put("/films/source", &whole).await.ok();
    let upload = begin(&client, "/films/copy").await;
    let copy = async |number: i32, range: &str| {
        let mut ask = Ask::new("PUT", "/films/copy", b"")
            .query("partNumber", number)
            .query("uploadId", &upload)
            .with("x-amz-copy-source", "/films/source");
        if !range.is_empty() {
            ask = ask.with("x-amz-copy-source-range", range);
        }
        client.ask(ask).await
    };
    let from = 100;
    let to = 6 * MIB + 12_345;
    let first = copy(1, &format!("bytes={from}-{}", to - 1)).await.ok();
    let second = copy(2, "").await.ok();
    copy(3, "bytes=5-99999999").await.is(416, "InvalidRange");
    let tag = |answer: &Answer| answer.all("ETag").remove(0).replace("&quot;", "\"");
    complete(
        &client,
        "/films/copy",
        &upload,
        &[(1, &tag(&first)), (2, &tag(&second))],
    )
    .await
    .ok();
    let wanted = [&whole[from..to], &whole[..]].concat();
    assert!(client.get("/films/copy").await.ok().body == wanted);
}
