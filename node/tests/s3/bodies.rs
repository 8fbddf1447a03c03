//! Bodies that are not what was said of them.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{Answer, Ask, Client, UNSIGNED, date, scope},
    house::House,
};

/// MD5 and CRC-32 of `hello`.
const MD5: &str = "XUFAKrxLKna5cZ2REBfFkg==";
const CRC32: &str = "NhCmhg==";

fn hello() -> Ask<'static> {
    Ask::new("PUT", "/photos/hello", b"hello")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_leaves_nothing() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let wrong_hash = "0".repeat(64);
    let unsigned = |ask: Ask<'static>| Ask {
        hash: Some(UNSIGNED),
        ..ask
    };
    for (ask, status, code) in [
        (
            hello().with("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
            400,
            "BadDigest",
        ),
        (hello().with("content-md5", "short"), 400, "InvalidDigest"),
        (
            hello().with("x-amz-checksum-crc32", "AAAAAA=="),
            400,
            "BadDigest",
        ),
        (
            hello().with("x-amz-checksum-crc32c", CRC32),
            400,
            "BadDigest",
        ),
        (
            hello().with("x-amz-checksum-crc64nvme", CRC32),
            400,
            "BadDigest",
        ),
        (hello().with("x-amz-checksum-sha1", CRC32), 400, "BadDigest"),
        (
            hello().with("x-amz-checksum-sha256", CRC32),
            400,
            "BadDigest",
        ),
        (
            Ask {
                hash: Some(&wrong_hash),
                ..hello()
            },
            400,
            "XAmzContentSHA256Mismatch",
        ),
        (
            hello().with("x-amz-acl", "public-read"),
            501,
            "NotImplemented",
        ),
        (hello().with("x-amz-tagging", "a=b"), 501, "NotImplemented"),
        (
            hello().with("x-amz-server-side-encryption", "AES256"),
            501,
            "NotImplemented",
        ),
        (
            hello().with("x-amz-meta-a", "x".repeat(2050)),
            400,
            "MetadataTooLarge",
        ),
    ] {
        client.ask(ask).await.is(status, code);
        client.get("/photos/hello").await.is(404, "NoSuchKey");
    }
    // Who goes away in the middle is told nothing, and leaves nothing.
    for hash in [None, Some(UNSIGNED)] {
        let ask = Ask {
            length: Some(9),
            hash,
            ..hello()
        };
        client.break_off(ask).await;
        client.get("/photos/hello").await.is(404, "NoSuchKey");
    }
    let good = unsigned(
        hello()
            .with("content-md5", MD5)
            .with("x-amz-checksum-crc32", CRC32),
    );
    let answer = client.ask(good).await.ok();
    assert_eq!(
        answer.header("etag"),
        Some("\"5d41402abc4b2a76b9719d911017c592\"")
    );
    assert_eq!(answer.header("x-amz-checksum-crc32"), Some(CRC32));
    let asked = Ask::new("GET", "/photos/hello", b"").with("x-amz-checksum-mode", "ENABLED");
    let answer = client.ask(asked).await.ok();
    assert_eq!(answer.header("x-amz-checksum-crc32"), Some(CRC32));
    assert_eq!(answer.body, b"hello");
}

/// A body in unsigned chunks, as the SDKs of today send it.
async fn trailing(client: &Client, chunks: &[&[u8]], length: usize, end: &str) -> Answer {
    let mut body = Vec::new();
    for chunk in chunks {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(end.as_bytes());
    let ask = Ask::new("PUT", "/photos/trailing", &body)
        .with("content-encoding", "aws-chunked")
        .with("x-amz-decoded-content-length", length)
        .with("x-amz-trailer", "x-amz-checksum-crc32");
    let ask = Ask {
        hash: Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ..ask
    };
    client.ask(ask).await
}

#[tokio::test(flavor = "multi_thread")]
async fn checksums_that_follow_the_body_are_compared() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let good = format!("0\r\nx-amz-checksum-crc32:{CRC32}\r\n\r\n");
    let wrong = "0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
    let hello: &[&[u8]] = &[b"he", b"llo"];
    trailing(&client, hello, 5, wrong)
        .await
        .is(400, "BadDigest");
    trailing(&client, hello, 5, "0\r\n\r\n")
        .await
        .is(400, "InvalidRequest");
    trailing(&client, hello, 6, &good)
        .await
        .is(400, "IncompleteBody");
    trailing(&client, &[b"hello", b"!"], 5, &good)
        .await
        .is(400, "IncompleteBody");
    trailing(&client, &[b"hello"], 5, "zz\r\n")
        .await
        .is(400, "InvalidRequest");
    client.get("/photos/trailing").await.is(404, "NoSuchKey");
    trailing(&client, hello, 5, &good).await.ok();
    let answer = client.get("/photos/trailing").await.ok();
    assert_eq!(answer.body, b"hello");
    // How it travelled is nothing that the content has.
    assert_eq!(answer.header("content-encoding"), None);
    // One chunk, however long.
    let whole = vec![7; 20 << 20];
    let crc = data_encoding::BASE64.encode(&crc32(&whole).to_be_bytes());
    let end = format!("0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n");
    trailing(&client, &[&whole], whole.len(), &end).await.ok();
    assert!(client.get("/photos/trailing").await.ok().body == whole);
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    let table: Vec<u32> = (0..256)
        .map(|at| (0..8).fold(at, |crc, _| step(crc)))
        .collect();
    let add = |crc: u32, byte: &u8| table[((crc ^ u32::from(*byte)) & 255) as usize] ^ (crc >> 8);
    !bytes.iter().fold(!0, add)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signed_chunk_is_checked() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let send = async |parts: &[&[u8]], forged: bool| {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let ask =
            Ask::new("PUT", "/photos/signed", b"").with("x-amz-decoded-content-length", length);
        let ask = Ask {
            hash: Some(streaming),
            ..ask
        };
        // The chunks follow from the signature, and the length is not signed.
        let (target, mut headers, mut last) = client.sign(&ask);
        let (_, date) = headers
            .iter()
            .find(|(name, _)| *name == "x-amz-date")
            .unwrap()
            .clone();
        let mut body = Vec::new();
        for part in parts.iter().copied().chain([&b""[..]]) {
            let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
            let hash =
                data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(part));
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{}\n{last}\n{empty}\n{hash}",
                scope(&date)
            );
            last = client.sign_text(&date, &text);
            body.extend_from_slice(
                format!("{:x};chunk-signature={last}\r\n", part.len()).as_bytes(),
            );
            body.extend_from_slice(part);
            body.extend_from_slice(b"\r\n");
        }
        if forged {
            let at = body.windows(5).position(|at| at == b"first").unwrap();
            body[at] = b'F';
        }
        headers.retain(|(name, _)| *name != "content-length");
        headers.push(("content-length", body.len().to_string()));
        crate::client::plain(client.address, "PUT", &target, &headers, &body).await
    };
    send(&[b"first", b"second"], true)
        .await
        .is(403, "SignatureDoesNotMatch");
    client.get("/photos/signed").await.is(404, "NoSuchKey");
    send(&[b"first", b"second"], false).await.ok();
    assert_eq!(client.get("/photos/signed").await.ok().body, b"firstsecond");
    // What would have to be held in memory until its end.
    let long = vec![1; 5 << 20];
    send(&[&long], false).await.is(400, "InvalidRequest");
    assert_eq!(date(0).len(), "20260101T000000Z".len());
}

/// A client that waits for `100 Continue` and is refused instead sends no body, and its next request
/// at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_request_after_a_refused_one_is_not_its_body() {
    let house = House::new().await;
    let client = house.with_bucket("photos").await;
    let host = client.address;
    let sent = format!(
        "PUT /photos/cat HTTP/1.1\r\nhost: {host}\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n\
         GET /photos/cat HTTP/1.1\r\nhost: {host}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    // What was sent behind it is not read: the connection may end by a reset.
    let _ = stream.read_to_end(&mut said).await;
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("HTTP/1.1 403"), "{said}");
    assert!(said.contains("\r\nconnection: close\r\n"), "{said}");
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
}
