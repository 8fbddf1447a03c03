//! New versions as they come, on real nodes.

use std::{fs, time::Duration};

use lab::{Lab, Process};
use serde_json::Value;

use crate::{net::Net, support::stderr};

const PATIENCE: Duration = Duration::from_secs(90);

fn put(net: &Net, node: usize, name: &str, content: &str) {
    let file = net.lab.home(node).join("content");
    fs::write(&file, content).unwrap();
    net.ok(node, &["object", "put", file.to_str().unwrap(), name]);
}

/// What a watcher has printed so far.
fn events(watcher: &Process) -> Vec<Value> {
    let log = fs::read_to_string(watcher.stdout_log()).unwrap();
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until a watcher has printed this version of what it calls so.
fn told(watcher: &Process, reference: &str, version: u64) -> Value {
    let is = |event: &Value| event["reference"] == reference && event["newest"] == version;
    let found = watcher.wait_line(&format!("{reference}@v{version}"), PATIENCE, |line| {
        serde_json::from_str(line).is_ok_and(|event: Value| is(&event))
    });
    found.unwrap();
    events(watcher).into_iter().find(is).unwrap()
}

/// The versions that a watcher was told of: each is newer than the one before.
fn only_forward(watcher: &Process, reference: &str) -> Vec<u64> {
    let events = events(watcher);
    let of_it = events
        .iter()
        .filter(|event| event["reference"] == reference);
    let versions: Vec<u64> = of_it
        .map(|event| event["newest"].as_u64().unwrap())
        .collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    versions
}

#[test]
fn who_watches_is_told_of_each_new_version_of_anybodys_names() {
    if !Lab::available_or_skip("who_watches_is_told_of_each_new_version_of_anybodys_names") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(4));
    net.until_settled(&[0, 1, 2, 3]);
    let owner = net.peer_id(0);
    let (news, list) = (format!("{owner}:news"), format!("{owner}:"));
    // Neither is there yet.
    let watcher = net.spawn(1, "watcher", &["--json", "object", "watch", &news, &list]);
    let own = net.spawn(0, "own", &["--json", "object", "watch", "news"]);
    put(&net, 0, "news", "first");
    let event = told(&watcher, &news, 1);
    assert_eq!(event["version"]["owner"], owner.as_str());
    assert_eq!(event["fork"].as_array().unwrap().len(), 0);
    told(&watcher, &list, 1);
    told(&own, "news", 1);
    put(&net, 0, "news", "second");
    told(&watcher, &news, 2);
    net.ok(0, &["object", "rm", "news"]);
    assert!(told(&watcher, &news, 3)["version"]["root"].is_null());

    // A node that is stopped, and what comes while it is away.
    net.ok(1, &["node", "stop"]);
    net.ok(0, &["object", "restore", "news@v1"]);
    net.ok(0, &["object", "restore", "news@v2"]);
    net.lab.start(1).unwrap();
    net.lab.wait_ready(1, PATIENCE).unwrap();
    told(&watcher, &news, 5);
    let said = fs::read_to_string(watcher.stderr_log()).unwrap();
    assert!(said.contains("waiting"), "{said}");
    // And it goes on from there.
    put(&net, 0, "news", "sixth");
    told(&watcher, &news, 6);
    let versions = only_forward(&watcher, &news);
    assert_eq!(versions, [1, 2, 3, 5, 6]);
    only_forward(&watcher, &list);
    told(&own, "news", 6);
    only_forward(&own, "news");
}

#[test]
fn what_cannot_be_watched_is_refused() {
    if !Lab::available_or_skip("what_cannot_be_watched_is_refused") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    for (name, code, why) in [
        ("cat@v3", 2, "never changes"),
        ("nobody:cat", 4, "no key is called nobody"),
        ("a//b", 2, "empty part"),
    ] {
        let refused = net.run(0, &["object", "watch", name]);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(code), "{said}");
        assert!(said.contains(why), "{said}");
    }
    let own = net.run(
        0,
        &[
            "gossip",
            "publish",
            "/hedgerow/notify/1.0.0/objects/00",
            "x",
        ],
    );
    assert_eq!(own.status.code(), Some(2), "{}", stderr(&own));
}
