//! What is never shared, never believed, and never fetched for others (Q31, Q32, Q35, Q36).

use webcache::{Config, Networks, PeersConfig, Scheme, Trust};

use super::member::{Member, open, path_at};
use crate::origin::{Client, LIMIT, Origin, ROOM, Script, until};

/// SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

const BOTH: [Scheme; 2] = [Scheme::HomeStore, Scheme::Directory];

#[tokio::test]
async fn what_is_private_is_kept_by_nobody() {
    for scheme in BOTH {
        for (number, fields) in [
            "Cache-Control: private, max-age=600",
            "Cache-Control: no-store",
            "Cache-Control: max-age=600\nSet-Cookie: a=b",
            "Cache-Control: max-age=600\nVary: *",
            "Cache-Control: max-age=600\nVary: X-Mine",
        ]
        .into_iter()
        .enumerate()
        {
            let origin = Origin::start().await;
            let members = Member::network(&open(scheme), 3).await;
            let path = path_at(&members, &origin, &format!("/mine/{number}"), 0);
            let url = origin.url(&path);
            origin.says(&path, Script::ok(fields, "first"));
            assert_eq!(members[1].client.get(&url).await.text(), "first");
            origin.says(&path, Script::ok(fields, "second"));
            let reply = members[2].client.get(&url).await;
            assert_eq!(reply.text(), "second", "{scheme:?} {fields}");
            let served: u64 = members.iter().map(|member| member.stats().served).sum();
            assert_eq!(served, 0, "{scheme:?} {fields}");
        }
    }
}

#[tokio::test]
async fn requests_that_say_who_asks_are_put_to_nobody() {
    let origin = Origin::start().await;
    let members = Member::network(&open(Scheme::HomeStore), 3).await;
    let path = path_at(&members, &origin, "/who", 0);
    origin.says(&path, Script::ok("Cache-Control: max-age=600", "here"));
    let url = origin.url(&path);
    for field in [
        "Cookie: a=b",
        "Authorization: Basic eA==",
        "X-Api-Key: secret",
        "Cache-Control: no-cache",
        "Pragma: no-cache",
    ] {
        let reply = members[1].client.get_with(&url, field).await;
        assert_eq!(reply.text(), "here", "{field}");
    }
    let query = format!("{path}?token=secret");
    origin.says(&query, Script::ok("Cache-Control: max-age=600", "secret"));
    let secret = origin.url(&query);
    assert_eq!(members[1].client.get(&secret).await.text(), "secret");
    let asked: u64 = members.iter().map(|member| member.stats().asked).sum();
    assert_eq!(asked, 0);
    // What came of it is not given to peers either: the home, which has it for the one who said
    // who asks, asks the origin.
    for (number, field) in [
        "Cookie: a=b",
        "Authorization: Basic eA==",
        "X-Api-Key: secret",
    ]
    .into_iter()
    .enumerate()
    {
        let path = path_at(&members, &origin, &format!("/who/{number}"), 0);
        origin.says(&path, Script::ok("Cache-Control: max-age=600", "here"));
        let url = origin.url(&path);
        members[0].client.get_with(&url, field).await;
        let trips = origin.count();
        assert_eq!(members[2].client.get(&url).await.text(), "here");
        assert_eq!(origin.count(), trips + 1, "{field}");
    }
}

/// A path that names the digest of `hello`, whose home is the first of these.
fn path_of_hello(members: &[Member], origin: &Origin) -> String {
    let mut folders = (0..1000).map(|number| format!("/d{number}/by-hash/SHA256/{HELLO}"));
    folders
        .find(|path| super::member::home_of(members, &origin.url(path)) == 0)
        .unwrap()
}

fn verified() -> PeersConfig {
    PeersConfig {
        trust: Trust::Verified,
        ..open(Scheme::HomeStore)
    }
}

#[tokio::test]
async fn of_the_head_of_a_checked_body_only_what_is_harmless_is_believed() {
    let origin = Origin::start().await;
    let members = Member::network(&verified(), 2).await;
    let path = path_of_hello(&members, &origin);
    let fields = "Cache-Control: max-age=600\nContent-Type: text/html\nETag: \"one\"\n\
                  Refresh: 0; url=http://evil.example/\nAccess-Control-Allow-Origin: *";
    origin.says(&path, Script::ok(fields, "hello"));
    let reply = members[1].client.get(&origin.url(&path)).await;
    assert_eq!(reply.text(), "hello");
    assert!(reply.all("cache-status")[0].starts_with("hedgerow-peer"));
    let kind = reply.field("content-type");
    assert_eq!(kind.as_deref(), Some("application/octet-stream"));
    assert_eq!(reply.field("etag").as_deref(), Some("\"one\""));
    for name in ["refresh", "access-control-allow-origin"] {
        assert_eq!(reply.field(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_held_back_is_got_from_the_origin() {
    let origin = Origin::start().await;
    let members = Member::network(&verified(), 2).await;
    let path = path_of_hello(&members, &origin);
    let fields = "Cache-Control: max-age=600\nTransfer-Encoding: chunked";
    let script = Script {
        pause_after: Some(8),
        ..Script::raw("200 OK", fields, b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")
    };
    origin.says(&path, script);
    let url = origin.url(&path);
    let going_on = async {
        // Nobody knows how long what the home has on its way is: the asker goes there itself.
        let asked = tokio::time::timeout(LIMIT, origin.until(2)).await;
        asked.expect("the asker asks the origin as well");
        origin.go_on();
        origin.go_on();
    };
    let (reply, ()) = tokio::join!(members[1].client.get(&url), going_on);
    assert_eq!(reply.text(), "hello");
    assert_eq!(reply.all("cache-status").len(), 1, "{}", reply.head);
    assert_eq!(members[1].stats().peers_wrong, 1);
}

#[tokio::test]
async fn a_poisoned_body_is_refused_and_got_from_the_origin() {
    for scheme in BOTH {
        let origin = Origin::start().await;
        let verified = PeersConfig {
            trust: Trust::Verified,
            ..open(scheme)
        };
        let members = Member::network(&verified, 3).await;
        let mut folders = (0..1000).map(|number| format!("/d{number}/by-hash/SHA256/{HELLO}"));
        let path = folders
            .find(|path| super::member::home_of(&members, &origin.url(path)) == 0)
            .unwrap();
        origin.says(&path, Script::ok("Cache-Control: max-age=600", "hello"));
        let url = origin.url(&path);
        assert_eq!(members[1].client.get(&url).await.text(), "hello");
        // Who has it for the others changes what it is.
        let liar = match scheme {
            Scheme::HomeStore => 0,
            Scheme::Directory => 1,
        };
        until(|| members[liar].client.store.objects() == 1).await;
        let folder = members[liar].client.folder.as_ref().unwrap();
        let files = std::fs::read_dir(folder.path()).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let body = files.filter(|path| path.extension().is_some_and(|end| end == "body"));
        for body in body {
            std::fs::write(body, "hELLo").unwrap();
        }
        let reply = members[2].client.get(&url).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, "hello"),
            "{scheme:?}"
        );
        assert_eq!(members[2].stats().wrong_digests, 1);
        assert_eq!(members[2].stats().peer_hits, 0);
        assert_eq!(origin.count(), 2, "{scheme:?}");
        // And what it has now is right.
        assert_eq!(members[2].client.get(&url).await.text(), "hello");
        assert_eq!(origin.count(), 2);
    }
}

#[tokio::test]
async fn where_only_digests_are_believed_nothing_else_is_asked_for() {
    let origin = Origin::start().await;
    let verified = PeersConfig {
        trust: Trust::Verified,
        ..open(Scheme::HomeStore)
    };
    let members = Member::network(&verified, 3).await;
    let path = path_at(&members, &origin, "/page", 0);
    origin.says(&path, Script::ok("Cache-Control: max-age=600", "here"));
    let url = origin.url(&path);
    members[1].client.get(&url).await;
    members[2].client.get(&url).await;
    assert_eq!(origin.count(), 2);
    let asked: u64 = members.iter().map(|member| member.stats().asked).sum();
    assert_eq!(asked, 0);
    // A digest in the URL: the second has it from the home, whatever a client says of its age.
    let mut folders = (0..1000).map(|number| format!("/v2/i{number}/blobs/sha256:{HELLO}"));
    let path = folders
        .find(|path| super::member::home_of(&members, &origin.url(path)) == 0)
        .unwrap();
    origin.says(&path, Script::ok("Cache-Control: max-age=600", "hello"));
    let url = origin.url(&path);
    members[1].client.get(&url).await;
    let reply = members[2]
        .client
        .get_with(&url, "Cache-Control: max-age=0")
        .await;
    assert_eq!(reply.text(), "hello");
    assert!(reply.all("cache-status")[0].starts_with("hedgerow-peer; hit"));
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn a_home_fetches_nothing_of_its_own_networks() {
    let origin = Origin::start().await;
    // Who asks takes this machine for public; the homes do not.
    let strict = PeersConfig {
        networks: Networks::default(),
        ..open(Scheme::HomeStore)
    };
    let mut members = Member::network(&strict, 2).await;
    let known: Vec<&Member> = members.iter().collect();
    let asker = Member::join(Some(open(Scheme::HomeStore)), &known).await;
    members.push(asker);
    let port = origin.address.port();
    for host in ["127.0.0.1", "localhost"] {
        let paths = (0..1000).map(|number| format!("/ssrf/{number}"));
        let url = |path: &String| format!("http://{host}:{port}{path}");
        let mut paths = paths.filter(|path| super::member::home_of(&members, &url(path)) != 2);
        let path = paths.next().unwrap();
        origin.says(&path, Script::ok("Cache-Control: max-age=600", "inside"));
        let before = origin.count();
        let reply = members[2].client.get(&url(&path)).await;
        // It has asked by itself, as it may.
        assert_eq!((host, reply.text().as_str()), (host, "inside"));
        assert_eq!(reply.all("cache-status").len(), 1, "{}", reply.head);
        assert_eq!(origin.count(), before + 1);
    }
    for home in &members[..2] {
        assert_eq!(home.stats().fetched_for_peers, 0);
    }
    let refused: u64 = members[..2]
        .iter()
        .map(|home| home.stats().not_public)
        .sum();
    assert_eq!(refused, 2);
}

#[tokio::test]
async fn what_was_got_from_a_network_of_one_s_own_is_given_to_nobody() {
    for scheme in BOTH {
        let origin = Origin::start().await;
        let strict = PeersConfig {
            networks: Networks::default(),
            ..open(scheme)
        };
        let mut members = vec![Member::join(Some(strict), &[]).await];
        for _ in 0..2 {
            let known: Vec<&Member> = members.iter().collect();
            let more = Member::join(Some(open(scheme)), &known).await;
            members.push(more);
        }
        let path = path_at(&members, &origin, "/intranet", 0);
        origin.says(&path, Script::ok("Cache-Control: max-age=600", "inside"));
        let url = origin.url(&path);
        // It has it for its own clients, and is the home besides.
        assert_eq!(members[0].client.get(&url).await.text(), "inside");
        assert_eq!(members[1].client.get(&url).await.text(), "inside");
        assert_eq!(members[0].stats().served, 0, "{scheme:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_whole_nowhere() {
    for scheme in BOTH {
        let origin = Origin::start().await;
        let members = Member::network(&open(scheme), 3).await;
        let path = path_at(&members, &origin, "/broken", 0);
        let fields = "Cache-Control: max-age=600\nContent-Length: 100000";
        let script = Script {
            close: true,
            ..Script::raw("200 OK", fields, &[b'x'; 60_000])
        };
        origin.says(&path, script);
        let url = origin.url(&path);
        let request = format!("GET {url} HTTP/1.1\r\nConnection: close\r\n\r\n");
        let answer = members[1].client.send(request.as_bytes()).await;
        assert!(answer.len() < 100_000);
        for member in &members {
            assert_eq!(member.client.store.objects(), 0, "{scheme:?}");
        }
        let whole = "y".repeat(100_000);
        origin.says(&path, Script::ok("Cache-Control: max-age=600", &whole));
        assert_eq!(
            members[2].client.get(&url).await.text(),
            whole,
            "{scheme:?}"
        );
    }
}

/// What a peer gave while all was believed is no answer any more when that is over.
#[tokio::test]
async fn what_was_believed_once_is_not_for_ever() {
    let origin = Origin::start().await;
    let mut members = Member::network(&open(Scheme::HomeStore), 3).await;
    let path = path_at(&members, &origin, "/page", 0);
    origin.says(&path, Script::ok("Cache-Control: max-age=600", "here"));
    let url = origin.url(&path);
    members[1].client.get(&url).await;
    let reply = members[2].client.get(&url).await;
    assert!(reply.all("cache-status")[0].starts_with("hedgerow-peer; hit"));
    let mut member = members.pop().unwrap();
    until(|| member.client.store.objects() == 1).await;
    let folder = member.client.folder.take().unwrap();
    member.kill().await;
    assert_eq!(origin.count(), 1);
    let alone = Client::open(folder.path(), Config::default(), ROOM).await;
    assert_eq!(alone.store.objects(), 1);
    let reply = alone.get(&url).await;
    assert_eq!((reply.text().as_str(), origin.count()), ("here", 2));
    // The origin's own is one.
    assert!(alone.get(&url).await.cache_status().contains("; hit"));
}
