//! Files whose digests stand in index pages (Q42): they are shared though only digests are believed.

use webcache::{Config, PeersConfig, Scheme, Trust};

use super::member::{Member, home_of, open};
use crate::origin::{Origin, Script};

/// SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

const FRESH: &str = "Cache-Control: max-age=600";

async fn start() -> (Origin, Vec<Member>) {
    let (origin, roots) = Origin::start_tls().await;
    let config = Config {
        roots,
        registries: vec![origin.address.to_string()],
        ..Config::default()
    };
    let members = Member::network_with(&config, &verified(), 3).await;
    (origin, members)
}

fn verified() -> PeersConfig {
    PeersConfig {
        trust: Trust::Verified,
        ..open(Scheme::HomeStore)
    }
}

fn at_proxy(origin: &Origin, path: &str) -> String {
    format!("/https/{}{path}", origin.address)
}

/// A file whose home is the first of these, and a page that names its digest.
fn publish(origin: &Origin, members: &[Member], body: &str, digest: &str) -> String {
    let mut paths = (0..1000).map(|number| format!("/files/{number}.whl"));
    let url = |path: &str| format!("https://{}{path}", origin.address);
    let path = paths
        .find(|path| home_of(members, &url(path)) == 0)
        .unwrap();
    origin.says(&path, Script::ok(FRESH, body));
    let page = format!("<a href=\"{path}#sha256={digest}\">file</a>");
    let fields = "Cache-Control: no-cache\nContent-Type: text/html\nETag: \"page\"";
    origin.says("/simple/x/", Script::ok(fields, &page));
    path
}

fn trips(origin: &Origin, path: &str) -> usize {
    let asked = format!("GET {path} ");
    let requests = origin.requests();
    requests
        .iter()
        .filter(|head| head.starts_with(&asked))
        .count()
}

#[tokio::test]
async fn a_file_that_a_page_names_the_digest_of_comes_from_another_node() {
    let (origin, members) = start().await;
    let file = publish(&origin, &members, "hello", HELLO);
    for (number, member) in members[1..].iter().enumerate() {
        // Who has not seen the page could not tell whether the file is right.
        let page = member
            .client
            .get_path(&at_proxy(&origin, "/simple/x/"), &[])
            .await;
        assert!(
            page.text().contains(&at_proxy(&origin, &file)),
            "{}",
            page.text()
        );
        // As npm and pip ask.
        let fields = ["npm-session: 1", "User-Agent: pip"];
        let reply = member
            .client
            .get_path(&at_proxy(&origin, &file), &fields)
            .await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
        let peer = &reply.all("cache-status")[0];
        let expected = [
            "hedgerow-peer; fwd=miss; stored",
            "hedgerow-peer; hit; ttl=",
        ][number];
        assert!(peer.starts_with(expected), "{peer}");
    }
    assert_eq!(trips(&origin, &file), 1);
    assert_eq!(
        trips(&origin, "/simple/x/"),
        2,
        "pages come from the origin"
    );
}

#[tokio::test]
async fn a_page_of_no_registry_says_nothing_of_files() {
    let (origin, roots) = Origin::start_tls().await;
    let config = Config {
        roots,
        ..Config::default()
    };
    let members = Member::network_with(&config, &verified(), 3).await;
    let file = publish(&origin, &members, "hello", HELLO);
    for member in &members[1..] {
        member
            .client
            .get_path(&at_proxy(&origin, "/simple/x/"), &[])
            .await;
        let reply = member.client.get_path(&at_proxy(&origin, &file), &[]).await;
        assert_eq!(reply.text(), "hello");
    }
    // Not even where a file is leaves the machine.
    let asked: u64 = members.iter().map(|member| member.stats().asked).sum();
    assert_eq!((asked, trips(&origin, &file)), (0, 2));
}

#[tokio::test]
async fn a_file_that_becomes_another_is_asked_for_anew() {
    let (origin, members) = start().await;
    let file = publish(&origin, &members, "hello", HELLO);
    let client = &members[1].client;
    let (page, path) = (at_proxy(&origin, "/simple/x/"), at_proxy(&origin, &file));
    client.get_path(&page, &[]).await;
    assert_eq!(client.get_path(&path, &[]).await.text(), "hello");
    // SHA-256 of `other`.
    let digest = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";
    let again = publish(&origin, &members, "other", digest);
    assert_eq!(again, file);
    client.get_path(&page, &[]).await;
    // What is here is fresh, and another than the page names now; and so is the home's.
    let reply = client.get_path(&path, &[]).await;
    assert_eq!(reply.text(), "other");
    assert_eq!(members[1].stats().wrong_digests, 1);
}

#[tokio::test]
async fn a_file_that_no_page_has_named_is_asked_of_nobody() {
    let (origin, members) = start().await;
    let file = publish(&origin, &members, "hello", HELLO);
    for member in &members[1..] {
        let reply = member.client.get_path(&at_proxy(&origin, &file), &[]).await;
        assert_eq!(reply.text(), "hello");
    }
    assert_eq!(trips(&origin, &file), 2);
}

#[tokio::test]
async fn another_file_than_the_page_names_is_refused_and_got_from_the_origin() {
    let (origin, members) = start().await;
    let file = publish(&origin, &members, "HELLO", HELLO);
    let (first, second) = (&members[1].client, &members[2].client);
    let (page, path) = (at_proxy(&origin, "/simple/x/"), at_proxy(&origin, &file));
    // It is another than the page says, wherever it comes from: the origin's is given, and kept by
    // nobody who knows.
    first.get_path(&page, &[]).await;
    assert_eq!(first.get_path(&path, &[]).await.text(), "HELLO");
    assert_eq!(members[1].stats().wrong_digests, 2);
    // The home knows nothing of the page and has it. Then it is mended at the origin.
    origin.says(&file, Script::ok(FRESH, "hello"));
    let before = trips(&origin, &file);
    second.get_path(&page, &[]).await;
    let reply = second.get_path(&path, &[]).await;
    assert_eq!(reply.text(), "hello");
    assert_eq!(members[2].stats().wrong_digests, 1);
    assert_eq!(trips(&origin, &file), before + 1);
    // And now it is here.
    assert!(
        second
            .get_path(&path, &[])
            .await
            .cache_status()
            .contains("; hit")
    );
}
