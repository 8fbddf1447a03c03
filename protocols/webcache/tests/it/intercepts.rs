//! Hosts whose TLS ends at the proxy, since they are listed (Q46 to Q49).

use std::{io, sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use webcache::{Authority, Config};

use crate::{
    origin::{Client, LIMIT, Origin, ROOM, Script, parse, until},
    visitor::{Visitor, authority, connect, place},
};

const FRESH: &str = "Cache-Control: max-age=60";

struct Listed {
    origin: Origin,
    client: Client,
    authority: Arc<Authority>,
    visitor: Visitor,
    at: String,
    _folder: TempDir,
}

/// An origin that is listed, and what else a proxy is told.
async fn listed(config: Config) -> Listed {
    let (origin, roots) = Origin::start_tls().await;
    let at = place(&origin);
    let (authority, _folder) = authority(&[&at]);
    let config = Config {
        roots,
        authority: Some(Arc::clone(&authority)),
        ..config
    };
    Listed {
        origin,
        client: Client::with(config, ROOM).await,
        visitor: Visitor::of(&authority),
        authority,
        at,
        _folder,
    }
}

impl Listed {
    async fn get(&self, path: &str, field: &str) -> crate::origin::Reply {
        self.visitor.get(&self.client, &self.at, path, field).await
    }

    fn counted(&self) -> (u64, u64) {
        let stats = self.client.proxy.stats();
        (stats.intercepted, stats.not_intercepted)
    }
}

#[tokio::test]
async fn what_a_listed_host_answers_is_kept_and_nothing_of_it_is_changed() {
    let listed = listed(Config::default()).await;
    let page = format!(
        "<a href=\"https://{}/x\">x</a> <a href='/y'>y</a>",
        listed.at
    );
    let fields = format!(
        "{FRESH}\nContent-Type: text/html\nETag: \"x\"\nStrict-Transport-Security: max-age=9\n\
         Content-Security-Policy: default-src 'self'\nLocation: https://{}/there",
        listed.at
    );
    listed.origin.says("/a?b", Script::ok(&fields, &page));
    let first = listed.get("/a?b", "Referer: https://from.example/").await;
    assert_eq!((first.status, first.text()), (200, page.clone()));
    let said = first.cache_status();
    assert!(
        said.contains("fwd=uri-miss; fwd-status=200; stored"),
        "{said}"
    );
    until(|| listed.client.store.objects() == 1).await;
    let second = listed.get("/a?b", "").await;
    assert_eq!(second.text(), page);
    assert!(second.cache_status().contains("; hit"), "{}", second.head);
    for reply in [first, second] {
        for (name, value) in [
            ("etag", "\"x\"".to_owned()),
            ("strict-transport-security", "max-age=9".to_owned()),
            ("content-security-policy", "default-src 'self'".to_owned()),
            ("location", format!("https://{}/there", listed.at)),
        ] {
            assert_eq!(reply.field(name), Some(value), "{}", reply.head);
        }
    }
    assert_eq!(listed.origin.count(), 1);
    let asked = listed.origin.requests()[0].to_ascii_lowercase();
    assert!(
        asked.contains(&format!("host: {}\r\n", listed.at)),
        "{asked}"
    );
    assert!(
        asked.contains("referer: https://from.example/\r\n"),
        "{asked}"
    );
    assert_eq!(listed.counted(), (2, 0));
    // It is one object with what programs get with the prefix.
    let path = listed.origin.behind("/a?b");
    let program = listed
        .client
        .get_path(&path, &["Accept-Encoding: gzip"])
        .await;
    assert!(program.cache_status().contains("; hit"), "{}", program.head);
    let url = format!("https://{}/a?b", listed.at);
    assert_eq!(listed.client.proxy.purge(&url).unwrap(), 1);
}

#[tokio::test]
async fn several_requests_come_on_one_connection_and_it_gives_way() {
    let config = Config {
        max_connections: 1,
        header_timeout: Duration::from_secs(600),
        ..Config::default()
    };
    let listed = listed(config).await;
    listed.origin.says("/a", Script::ok(FRESH, "four"));
    let mut stream = listed
        .visitor
        .visit(&listed.client, &listed.at)
        .await
        .unwrap();
    for outcome in ["fwd=uri-miss", "; hit"] {
        let request = format!("GET /a HTTP/1.1\r\nHost: {}\r\n\r\n", listed.at);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nfour") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let said = parse(&answer).cache_status();
        assert!(said.contains(outcome), "{said}");
        until(|| listed.client.store.objects() == 1).await;
    }
    // There is one place, which a connection without a request leaves.
    let other = listed.get("/a", "").await;
    assert!(other.cache_status().contains("; hit"), "{}", other.head);
    let mut rest = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut rest)).await;
    read.expect("it is closed").unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn who_is_not_listed_is_not_touched() {
    let (origin, roots) = Origin::start_tls().await;
    let script = Script {
        close: true,
        ..Script::ok(FRESH, "of the host itself")
    };
    origin.says("/a", script);
    let (authority, _folder) = authority(&["other.example", "localhost:1"]);
    let trusted = Visitor::trusting(origin.certificate.as_ref().unwrap());
    let at = place(&origin);
    for authority in [None, Some(authority)] {
        let config = Config {
            roots: roots.clone(),
            authority,
            ..Config::default()
        };
        let client = Client::with(config, ROOM).await;
        for _ in 0..2 {
            let reply = trusted.get(&client, &at, "/a", "").await;
            assert_eq!(reply.text(), "of the host itself");
            assert_eq!(reply.field("cache-status"), None);
            assert_eq!(reply.field("via"), None);
        }
        assert_eq!(client.store.objects(), 0);
        assert_eq!(client.proxy.stats().intercepted, 0);
    }
    assert_eq!(origin.count(), 4);
}

#[tokio::test]
async fn no_other_name_is_spoken_for() {
    let listed = listed(Config::default()).await;
    let (at, client) = (&listed.at, &listed.client);
    let mut other = Visitor::of(&listed.authority);
    other.name = "other.example";
    let error = other.visit(client, at).await.unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
    until(|| listed.counted() == (0, 1)).await;
    // Nor is another protocol spoken.
    let newer = Visitor::of(&listed.authority).speaking(&["h2"]);
    assert!(newer.visit(client, at).await.is_err());
    until(|| listed.counted() == (0, 2)).await;
    let either = Visitor::of(&listed.authority).speaking(&["h2", "http/1.1"]);
    let stream = either.visit(client, at).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    // On a connection to one host no other is asked.
    for (head, status) in [
        ("GET / HTTP/1.1\r\nHost: other.example", 421),
        ("GET https://other.example/ HTTP/1.1", 421),
        ("GET / HTTP/1.1\r\nHost: localhost", 421),
        ("CONNECT other.example:443 HTTP/1.1", 400),
        ("TRACE / HTTP/1.1", 405),
        ("OPTIONS * HTTP/1.1", 400),
        ("GET / HTTP/1.1\r\nVia: 1.1 hedgerow", 508),
    ] {
        let request = format!("{head}\r\nConnection: close\r\n\r\n");
        let reply = listed.visitor.ask(client, at, &request).await;
        assert_eq!(reply.status, status, "{head}: {}", reply.text());
    }
    assert_eq!(listed.origin.count(), 0);
}

#[tokio::test]
async fn the_proxy_is_no_host_of_its_own() {
    let listed = listed(Config::default()).await;
    let port = listed.client.proxy.address().unwrap().port();
    for name in ["localhost", "127.0.0.1", "[::1]"] {
        let (status, _) = connect(&listed.client, &format!("{name}:{port}")).await;
        assert_eq!(status, 508, "{name}");
    }
}

#[tokio::test]
async fn who_does_not_trust_the_authority_gets_nothing() {
    let listed = listed(Config::default()).await;
    let (stranger, _folder) = authority(&[&listed.at]);
    let stranger = Visitor::of(&stranger);
    let error = stranger
        .visit(&listed.client, &listed.at)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    until(|| listed.counted() == (0, 1)).await;
    // And the others what they want.
    listed.origin.says("/a", Script::ok(FRESH, "x"));
    assert_eq!(listed.get("/a", "").await.text(), "x");
    assert_eq!(listed.counted(), (1, 1));
}

#[tokio::test]
async fn who_does_not_finish_to_begin_is_let_go() {
    let config = Config {
        handshake_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    let listed = listed(config).await;
    // Nothing, the begin of a greeting, and what is none.
    for bytes in [
        &b""[..],
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let (status, mut stream) = connect(&listed.client, &listed.at).await;
        assert_eq!(status, 200);
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        match timeout(LIMIT, stream.read_to_end(&mut rest)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
            Err(_) => panic!("{bytes:?}: it is waited for"),
        }
        assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    }
    until(|| listed.counted() == (0, 3)).await;
    assert_eq!(listed.origin.count(), 0);
}

#[tokio::test]
async fn a_host_that_is_not_vouched_for_is_not_believed() {
    // The proxy has not been told of the authority of this one.
    let (origin, _) = Origin::start_tls().await;
    let at = place(&origin);
    let (authority, _folder) = authority(&[&at]);
    let visitor = Visitor::of(&authority);
    let config = Config {
        authority: Some(authority),
        ..Config::default()
    };
    let client = Client::with(config, ROOM).await;
    let reply = visitor.get(&client, &at, "/a", "").await;
    assert_eq!((reply.status, origin.count()), (502, 0));
    assert!(reply.text().contains("certificate"), "{}", reply.text());
    let status = reply.field("proxy-status").unwrap();
    assert!(status.ends_with("error=tls_certificate_error"), "{status}");
    assert_eq!(client.store.objects(), 0);
}

#[tokio::test]
async fn what_is_for_one_alone_is_not_kept() {
    let listed = listed(Config::default()).await;
    let public = Script::ok(FRESH, "mine");
    for (path, script) in [
        ("/fields", public.clone()),
        (
            "/private",
            Script::ok("Cache-Control: private, max-age=60", "mine"),
        ),
        ("/secret", Script::ok("Cache-Control: no-store", "mine")),
        (
            "/cookie",
            Script::ok(&format!("{FRESH}\nSet-Cookie: a=b"), "mine"),
        ),
    ] {
        listed.origin.says(path, script);
    }
    let mut count = 0;
    for (path, field) in [
        ("/fields", "Authorization: Bearer x"),
        ("/fields", "Cookie: a=b"),
        ("/fields", "X-Api-Key: x"),
        ("/private", ""),
        ("/secret", ""),
        ("/cookie", ""),
    ] {
        for _ in 0..2 {
            let reply = listed.get(path, field).await;
            count += 1;
            assert_eq!(
                (reply.text().as_str(), listed.origin.count()),
                ("mine", count)
            );
            let asked = listed.origin.requests()[count - 1].to_ascii_lowercase();
            assert!(asked.contains(&field.to_ascii_lowercase()), "{asked}");
            let cookie = (path == "/cookie").then(|| "a=b".to_owned());
            assert_eq!(reply.field("set-cookie"), cookie);
        }
    }
    assert_eq!(listed.client.store.objects(), 0);
    // Nor is such a request answered with what is kept.
    assert_eq!(listed.get("/fields", "").await.text(), "mine");
    until(|| listed.client.store.objects() == 1).await;
    let reply = listed.get("/fields", "Cookie: a=b").await;
    assert!(
        reply.cache_status().contains("fwd=bypass"),
        "{}",
        reply.head
    );
}

#[tokio::test]
async fn without_origins_what_is_kept_is_given() {
    let (origin, roots) = Origin::start_tls().await;
    let at = place(&origin);
    let (authority, _ca) = authority(&[&at]);
    let visitor = Visitor::of(&authority);
    let folder = tempfile::tempdir().unwrap();
    origin.says(
        "/a",
        Script::ok("Cache-Control: max-age=0\nETag: \"x\"", "kept"),
    );
    for offline in [false, true] {
        let config = Config {
            roots: roots.clone(),
            authority: Some(Arc::clone(&authority)),
            offline,
            ..Config::default()
        };
        let client = Client::open(folder.path(), config, ROOM).await;
        let reply = visitor.get(&client, &at, "/a", "").await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "kept"));
        until(|| client.store.objects() == 1).await;
    }
    assert_eq!(origin.count(), 1);
}
