//! `https` for clients that are pointed at the proxy itself (Q39 to Q44).

use std::time::Duration;

use webcache::Config;

use crate::origin::{Client, Origin, ROOM, Script, parse};

async fn start() -> (Origin, Client) {
    let (origin, roots) = Origin::start_tls().await;
    let config = Config {
        roots,
        ..Config::default()
    };
    (origin, Client::with(config, ROOM).await)
}

#[tokio::test]
async fn what_is_behind_the_prefix_is_got_by_tls_and_kept() {
    let (origin, client) = start().await;
    origin.says(
        "/a?b",
        Script::ok("Cache-Control: max-age=60", "secret of nobody"),
    );
    let path = origin.behind("/a?b");
    let first = client.get_path(&path, &[]).await;
    assert_eq!(
        (first.status, first.text().as_str()),
        (200, "secret of nobody")
    );
    assert!(
        first
            .cache_status()
            .contains("fwd=uri-miss; fwd-status=200; stored")
    );
    let second = client.get_path(&path, &[]).await;
    assert_eq!(second.text(), "secret of nobody");
    assert!(second.cache_status().contains("; hit"), "{}", second.head);
    assert_eq!(origin.count(), 1);
    let asked = &origin.requests()[0].to_ascii_lowercase();
    let host = format!("host: localhost:{}\r\n", origin.address.port());
    assert!(asked.contains(&host), "{asked}");
    // By its own name it is found and removed.
    let url = format!("https://localhost:{}/a?b", origin.address.port());
    assert_eq!(client.proxy.purge(&url).unwrap(), 1);
    assert_eq!(client.proxy.warm(&url).await.unwrap().status, 200);
    assert_eq!(client.proxy.purge(&url).unwrap(), 1);
}

#[tokio::test]
async fn who_is_not_vouched_for_is_not_believed() {
    let (origin, _) = Origin::start_tls().await;
    let client = Client::start().await;
    let answer = client.get_path(&origin.behind("/a"), &[]).await;
    assert_eq!((answer.status, origin.count()), (502, 0));
    assert!(answer.text().contains("certificate"), "{}", answer.text());
    let status = answer.field("proxy-status").unwrap();
    assert!(status.ends_with("error=tls_certificate_error"), "{status}");
    // A certificate of somebody else.
    let (origin, roots) = Origin::start_tls().await;
    let config = Config {
        roots,
        ..Config::default()
    };
    let client = Client::with(config, ROOM).await;
    let other = format!("/https/127.0.0.2:{}/a", origin.address.port());
    let answer = client.get_path(&other, &[]).await;
    assert_eq!(
        (answer.status, origin.count()),
        (502, 0),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn who_speaks_no_tls_is_not_waited_for() {
    let plain = Origin::start().await;
    let limit = Duration::from_millis(200);
    let config = Config {
        connect_timeout: limit,
        ..Config::default()
    };
    let client = Client::with(config, ROOM).await;
    // It waits for the end of a request that it cannot read.
    let answer = client.get_path(&plain.behind("/a"), &[]).await;
    assert_eq!(
        (answer.status, plain.count()),
        (504, 0),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn pages_lead_to_the_proxy_and_the_store_has_them_as_they_were() {
    let (origin, client) = start().await;
    let own = format!("https://localhost:{}", origin.address.port());
    let page = format!("<a href=\"{own}/f#sha256=00\">f</a> <a href='/g'>g</a> {own}/h");
    let fields = "Cache-Control: max-age=60\nContent-Type: text/html\nETag: \"x\"\nSet-Cookie: a=b";
    let kept = "Cache-Control: max-age=60\nContent-Type: text/html; charset=utf-8\nETag: \"x\"";
    origin.says("/cookie", Script::ok(fields, &page));
    origin.says("/page", Script::ok(kept, &page));
    let here = client.proxy.address().unwrap();
    let base = format!("http://{here}/https/localhost:{}", origin.address.port());
    let led = format!("<a href=\"{base}/f#sha256=00\">f</a> <a href='{base}/g'>g</a> {own}/h");
    for (path, hits) in [("/cookie", 0), ("/page", 0), ("/page", 1)] {
        let answer = client.get_path(&origin.behind(path), &[]).await;
        assert_eq!(answer.text(), led);
        assert_eq!(answer.field("etag"), None);
        assert_eq!(answer.field("set-cookie"), None);
        assert_eq!(
            answer.field("content-security-policy").as_deref(),
            Some("sandbox; default-src 'none'")
        );
        let is_hit = answer.cache_status().contains("; hit");
        assert_eq!(is_hit, hits == 1, "{}", answer.head);
    }
    // What the client has may have been made for another way here, so it is sent anew.
    let again = client
        .get_path(&origin.behind("/page"), &["If-None-Match: \"x\""])
        .await;
    assert_eq!((again.status, again.text()), (200, led));
    // As a proxy's client has it.
    let url = format!("{own}/page");
    assert_eq!(
        client.proxy.warm(&url).await.unwrap().bytes,
        page.len() as u64
    );
}

#[tokio::test]
async fn who_has_the_proxy_as_its_proxy_too_gets_the_same() {
    let (origin, client) = start().await;
    origin.says("/a", Script::ok("Cache-Control: max-age=60", "here"));
    let here = client.proxy.address().unwrap();
    let url = format!("http://{here}{}", origin.behind("/a"));
    let answer = client.get(&url).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "here"));
}

#[tokio::test]
async fn what_is_asked_of_a_page_without_its_body_is_of_the_page_here() {
    let (origin, client) = start().await;
    let head = "Cache-Control: max-age=60\nContent-Type: text/html\nETag: \"x\"";
    origin.says("/page", Script::ok(head, ""));
    let here = client.proxy.address().unwrap();
    let request = format!(
        "HEAD {} HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n",
        origin.behind("/page")
    );
    let answer = parse(&client.send(request.as_bytes()).await);
    assert_eq!((answer.status, answer.field("etag")), (200, None));
    assert_eq!(answer.field("content-length"), None);
}

#[tokio::test]
async fn of_a_page_that_is_led_here_there_are_no_parts() {
    let (origin, client) = start().await;
    let page = "<a href='/f'>f</a>";
    let html = "Content-Type: text/html\nAccept-Ranges: bytes";
    let range = format!("Content-Range: bytes 3-6/{}", page.len());
    let of_nothing = format!("Content-Range: bytes */{}", page.len());
    let led = format!(
        "<a href='http://{}{}'>f</a>",
        client.proxy.address().unwrap(),
        origin.behind("/f")
    );
    // Kept, and not kept: then the origin gives the part, several of them, or none.
    origin.says(
        "/kept",
        Script::ok(&format!("Cache-Control: max-age=60\n{html}"), page),
    );
    assert_eq!(
        client.get_path(&origin.behind("/kept"), &[]).await.text(),
        led
    );
    for bytes in ["3-6", "900-"] {
        let field = format!("Range: bytes={bytes}");
        let answer = client.get_path(&origin.behind("/kept"), &[&field]).await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, led.clone()),
            "{bytes}"
        );
        assert!(answer.cache_status().contains("; hit"), "{}", answer.head);
        assert_eq!(answer.field("content-range"), None);
        assert_eq!(answer.field("accept-ranges"), None);
    }
    let several = "Content-Type: multipart/byteranges; boundary=x";
    for (status, fields) in [
        ("206 Partial Content", format!("{html}\n{range}")),
        ("206 Partial Content", several.to_owned()),
        (
            "416 Range Not Satisfiable",
            format!("Content-Type: text/plain\n{of_nothing}"),
        ),
    ] {
        let path = format!("/{}", fields.len());
        origin.says_of_parts(&path, Script::status(status, &fields, "href"));
        origin.says(&path, Script::ok(html, page));
        let before = origin.count();
        let answer = client
            .get_path(&origin.behind(&path), &["Range: bytes=3-6"])
            .await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, led.clone()),
            "{fields}"
        );
        let asked = origin.requests().split_off(before);
        assert!(asked[0].to_ascii_lowercase().contains("range: bytes=3-6"));
        assert!(
            !asked
                .last()
                .unwrap()
                .to_ascii_lowercase()
                .contains("range:")
        );
    }
}

#[tokio::test]
async fn of_files_there_are_parts() {
    let (origin, client) = start().await;
    let file = "Cache-Control: max-age=60\nContent-Type: application/octet-stream";
    origin.says("/kept", Script::ok(file, "0123456789"));
    assert_eq!(
        client.get_path(&origin.behind("/kept"), &[]).await.status,
        200
    );
    for (bytes, status, text) in [("3-6", 206, "3456"), ("900-", 416, "")] {
        let field = format!("Range: bytes={bytes}");
        let answer = client.get_path(&origin.behind("/kept"), &[&field]).await;
        assert_eq!(answer.status, status, "{}", answer.head);
        assert!(status == 416 || answer.text() == text, "{}", answer.text());
    }
    assert_eq!(origin.count(), 1);
    let error = "Content-Type: text/html\nContent-Range: bytes */10";
    let refused = Script::status("416 Range Not Satisfiable", error, "no such part");
    origin.says_of_parts("/far", refused);
    origin.says(
        "/far",
        Script::raw("200 OK", &format!("{file}\nContent-Length: 10"), b""),
    );
    let field = "Range: bytes=900-";
    let answer = client.get_path(&origin.behind("/far"), &[field]).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (416, "no such part")
    );
    // A page so long that it is given as it is.
    let range = "Content-Type: text/html\nContent-Range: bytes 3-6/99999999";
    origin.says_of_parts(
        "/long",
        Script::status("206 Partial Content", range, "3456"),
    );
    let answer = client
        .get_path(&origin.behind("/long"), &["Range: bytes=3-6"])
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (206, "3456"));
}

#[tokio::test]
async fn redirects_lead_to_the_proxy() {
    let (origin, client) = start().await;
    let location = Script::status("302 Found", "Location: /there?x", "");
    origin.says("/here", location);
    let answer = client.get_path(&origin.behind("/here"), &[]).await;
    let there = format!(
        "http://{}{}",
        client.proxy.address().unwrap(),
        origin.behind("/there?x")
    );
    assert_eq!(
        (answer.status, answer.field("location")),
        (302, Some(there))
    );
}

#[tokio::test]
async fn a_page_that_breaks_off_is_no_page() {
    let (origin, client) = start().await;
    let cut = Script {
        close: true,
        ..Script::raw(
            "200 OK",
            "Content-Type: text/html\nContent-Length: 100",
            b"<a href",
        )
    };
    origin.says("/page", cut);
    let answer = client.get_path(&origin.behind("/page"), &[]).await;
    assert_eq!(answer.status, 502, "{}", answer.head);
    assert_eq!(client.store.objects(), 0);
}

#[tokio::test]
async fn browsers_and_other_machines_are_refused() {
    let (origin, client) = start().await;
    let path = origin.behind("/a");
    for (fields, status) in [
        (&["Origin: http://evil.example"][..], 403),
        (&["Sec-Fetch-Site: cross-site"], 403),
        (&["User-Agent: Mozilla/5.0 (old)"], 403),
        (&["Authorization: Basic x"], 403),
    ] {
        let answer = client.get_path(&path, fields).await;
        assert_eq!(answer.status, status, "{fields:?}");
    }
    let rebound = format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    let answer = client.send(rebound.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 400 "));
    let without = format!("GET {path} HTTP/1.0\r\n\r\n");
    assert!(
        client
            .send(without.as_bytes())
            .await
            .starts_with(b"HTTP/1.0 400 ")
    );
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn what_is_asked_with_a_password_is_for_who_asks() {
    let (origin, client) = start().await;
    let (path, away) = (origin.behind("/v2/a"), origin.behind("/v2/away"));
    origin.says("/v2/a", Script::ok("Cache-Control: max-age=60", "mine"));
    let elsewhere = "Location: https://elsewhere.example/b";
    origin.says(
        "/v2/away",
        Script::status("307 Temporary Redirect", elsewhere, ""),
    );
    for (number, field) in ["Authorization: Bearer x", "Private-Token: x"]
        .iter()
        .enumerate()
    {
        for count in 1..=2 {
            let answer = client.get_path(&path, &[field]).await;
            let trips = number * 3 + count;
            assert_eq!((answer.text().as_str(), origin.count()), ("mine", trips));
        }
        let asked = origin.requests()[number * 3].to_ascii_lowercase();
        assert!(asked.contains(&field.to_ascii_lowercase()), "{asked}");
        let answer = client.get_path(&away, &[field]).await;
        // To the client the other server would be the same.
        let location = answer.field("location");
        assert_eq!(location.as_deref(), Some("https://elsewhere.example/b"));
    }
    assert_eq!(client.store.objects(), 0);
}
