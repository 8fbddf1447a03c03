//! What is on disk.

use webcache::{Config, Store};

use crate::origin::{Client, Origin, ROOM, Script, files, until};

const FRESH: &str = "Cache-Control: max-age=60";

#[tokio::test]
async fn what_is_kept_is_there_after_a_restart() {
    let (origin, folder) = (Origin::start().await, tempfile::tempdir().unwrap());
    let url = origin.url("/a");
    origin.says("/a", Script::ok(&format!("{FRESH}\nVary: Accept"), "hello"));
    {
        let client = Client::open(folder.path(), Config::default(), ROOM).await;
        client.get_with(&url, "Accept: text/plain").await;
        assert_eq!(client.store.objects(), 1);
    }
    // As a killed node leaves it: a body without its meta, a half-written one, a cut-off one.
    std::fs::write(folder.path().join("900.body"), "x").unwrap();
    std::fs::write(folder.path().join("901.part"), "x").unwrap();
    std::fs::write(folder.path().join("902.meta"), "{}").unwrap();
    let store = Store::open(folder.path(), ROOM).unwrap();
    assert_eq!(store.objects(), 1);
    assert_eq!(store.list()[0].url, url);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    drop(store);
    let client = Client::open(folder.path(), Config::default(), ROOM).await;
    let hit = client.get_with(&url, "Accept: text/plain").await;
    assert_eq!(hit.text(), "hello");
    assert!(hit.cache_status().contains("hit"), "{}", hit.head);
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn the_room_is_kept_to_and_files_go_with_their_objects() {
    let (origin, room) = (Origin::start().await, 1024 * 1024);
    let client = Client::with(Config::default(), room).await;
    let body = "x".repeat(100 * 1024);
    for number in 0..40 {
        let path = format!("/{number}");
        origin.says(&path, Script::ok(FRESH, &body));
        client.get(&origin.url(&path)).await;
        assert!(client.store.bytes() <= room);
    }
    assert!(client.store.objects() >= 5, "{}", client.store.objects());
    let folder = client.folder.as_ref().unwrap().path();
    until(|| files(folder).1 <= room).await;
    client.store.clear();
    until(|| files(folder).0 == 0).await;
}

#[tokio::test]
async fn a_scan_does_not_drive_out_what_is_used() {
    let (origin, room) = (Origin::start().await, 1024 * 1024);
    let client = Client::with(Config::default(), room).await;
    let body = "x".repeat(60 * 1024);
    let used: Vec<String> = (0..4).map(|number| format!("/used/{number}")).collect();
    for path in &used {
        origin.says(path, Script::ok(FRESH, &body));
        for _ in 0..4 {
            client.get(&origin.url(path)).await;
        }
    }
    for number in 0..60 {
        let path = format!("/scan/{number}");
        origin.says(&path, Script::ok(FRESH, &body));
        client.get(&origin.url(&path)).await;
    }
    let before = origin.count();
    for path in &used {
        client.get(&origin.url(path)).await;
    }
    assert_eq!(origin.count(), before, "what is used had to go");
}

#[tokio::test]
async fn a_url_can_be_purged() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    for path in ["/a", "/b"] {
        origin.says(path, Script::ok(FRESH, "hello"));
        client.get(&origin.url(path)).await;
    }
    assert_eq!(client.store.purge(&origin.url("/a")), 1);
    assert_eq!(client.store.purge(&origin.url("/a")), 0);
    assert_eq!(client.store.objects(), 1);
    client.get(&origin.url("/a")).await;
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn an_answer_without_its_file_is_asked_for_again() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok(FRESH, "hello"));
    let url = origin.url("/a");
    client.get(&url).await;
    let folder = client.folder.as_ref().unwrap().path();
    for file in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    assert_eq!(client.get(&url).await.status, 500);
    assert_eq!(client.get(&url).await.text(), "hello");
}

#[test]
fn room_is_a_tenth_of_what_is_free_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let room = webcache::default_room(folder.path()).unwrap();
    assert!(room <= 10 << 30);
    assert!(webcache::default_room(&folder.path().join("absent")).is_err());
}

#[tokio::test]
async fn a_long_head_counts() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    let long = format!("{FRESH}\nX-Long: {}", "x".repeat(12_000));
    origin.says("/a", Script::ok(&long, "hello"));
    client.get(&origin.url("/a")).await;
    assert!(client.store.bytes() > 12_000, "{}", client.store.bytes());
}
