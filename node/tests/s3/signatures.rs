//! Who is let in.

use crate::{
    client::{Ask, plain},
    house::House,
};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_signature_nothing_is_told() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    client.put("/photos/cat", b"purr").await.ok();
    let host = ("host", client.address.to_string());
    let bare = async |method: &str, target: &str, headers: &[(&str, String)]| {
        let headers = [std::slice::from_ref(&host), headers].concat();
        plain(client.address, method, target, &headers, b"").await
    };

    for target in ["/", "/photos", "/photos/cat", "/nothing/there"] {
        bare("GET", target, &[]).await.is(403, "AccessDenied");
    }
    let old = (
        "authorization",
        format!("AWS {}:c2lnbmF0dXJl", client.access_key),
    );
    bare("GET", "/photos/cat", &[old])
        .await
        .is(400, "InvalidRequest");
    let target = format!(
        "/photos/cat?AWSAccessKeyId={}&Expires=9999999999&Signature=x",
        client.access_key
    );
    bare("GET", &target, &[]).await.is(400, "InvalidRequest");
    // However it is written, and beside whatever else.
    let target = "/photos/cat?%53ignature=x";
    bare("GET", target, &[]).await.is(400, "InvalidRequest");
    let form = ("content-type", "multipart/form-data; boundary=x".to_owned());
    bare("POST", "/photos", &[form])
        .await
        .is(501, "NotImplemented");
    for named in ["photos.localhost:4749", "photos.s3.example", ""] {
        let mut headers = client.sign(&Ask::new("GET", "/cat", b"")).1;
        headers.retain(|(name, _)| *name != "host");
        headers.push(("host", named.to_owned()));
        let answer = plain(client.address, "GET", "/cat", &headers, b"").await;
        answer.is(501, "NotImplemented");
    }
    let nonsense = ("authorization", "AWS4-HMAC-SHA256 nonsense".to_owned());
    assert_eq!(bare("GET", "/photos/cat", &[nonsense]).await.status, 400);

    let wrong = house.client_of(&client.access_key, "another secret");
    wrong
        .get("/photos/cat")
        .await
        .is(403, "SignatureDoesNotMatch");
    let nobody = house.client_of("HRGWNOBODY", &client.secret_key);
    nobody
        .get("/photos/cat")
        .await
        .is(403, "InvalidAccessKeyId");
    for skew in [-16 * 60, 16 * 60] {
        let ask = Ask {
            skew,
            ..Ask::new("GET", "/photos/cat", b"")
        };
        client.ask(ask).await.is(403, "RequestTimeTooSkewed");
    }
    // Signed for one thing, used for another.
    let (_, headers, _) = client.sign(&Ask::new("GET", "/photos/cat", b""));
    let other = plain(client.address, "DELETE", "/photos/cat", &headers, b"").await;
    other.is(403, "SignatureDoesNotMatch");
    assert_eq!(client.get("/photos/cat").await.ok().body, b"purr");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_is_not_obeyed() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    client.put("/photos/secret", b"hiss").await.ok();
    let send = async |target: &str, headers: &[(&str, String)]| {
        plain(client.address, "PUT", target, headers, b"").await
    };
    let (target, signed, _) = client.sign(&Ask::new("PUT", "/photos/cat", b""));
    let copy = ("x-amz-copy-source", "/photos/secret".to_owned());
    let with_copy = [&signed[..], std::slice::from_ref(&copy)].concat();
    send(&target, &with_copy).await.is(403, "AccessDenied");
    let link = client.presigned("PUT", "/photos/cat", 60, 0);
    let host = ("host", client.address.to_string());
    let none = ("content-length", "0".to_owned());
    let by_link = [host.clone(), none.clone(), copy];
    send(&link, &by_link).await.is(403, "AccessDenied");
    // Both signatures are good, but they may be for different things.
    send(&link, &signed).await.is(400, "InvalidRequest");
    let changed = |from: &str, to: &str| {
        let mut headers = signed.clone();
        for (name, value) in &mut headers {
            if *name == "authorization" {
                *value = value.replace(from, to);
            }
        }
        headers
    };
    for headers in [
        changed("/s3/aws4", "/sts/aws4"),
        changed("SignedHeaders=host;", "SignedHeaders="),
    ] {
        send(&target, &headers).await.is(403, "AccessDenied");
    }
    client.get("/photos/cat").await.is(404, "NoSuchKey");
    // The hash of what is sent by a link is no secret of who made it.
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let hash = ("x-amz-content-sha256", empty.to_owned());
    send(&link, &[host, none, hash]).await.ok();
    assert_eq!(client.get("/photos/cat").await.ok().body, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_removed_opens_nothing() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    client.get("/photos").await.ok();
    let path = format!("/api/v1/s3/keys/{}", client.access_key);
    house.api("DELETE", &path, b"").await;
    client.get("/photos").await.is(403, "InvalidAccessKeyId");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_good_for_what_and_how_long_they_say() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let host = [("host", client.address.to_string())];
    let follow = async |method: &str, link: &str, body: &[u8]| {
        let length = ("content-length", body.len().to_string());
        let headers = [host[0].clone(), length];
        plain(client.address, method, link, &headers, body).await
    };
    let link = client.presigned("PUT", "/photos/cat", 60, 0);
    follow("PUT", &link, b"purr").await.ok();
    let link = client.presigned("GET", "/photos/cat", 60, 0);
    assert_eq!(follow("GET", &link, b"").await.ok().body, b"purr");
    follow("PUT", &link, b"hiss")
        .await
        .is(403, "SignatureDoesNotMatch");
    let link = client.presigned("GET", "/photos/cat", 60, -61);
    follow("GET", &link, b"").await.is(403, "AccessDenied");
    let link = client.presigned("GET", "/photos/cat", 60, 16 * 60);
    follow("GET", &link, b"")
        .await
        .is(403, "RequestTimeTooSkewed");
}
