//! Versioned objects on real nodes.

use std::{fs, io::Write, path::Path, process::Stdio, time::Duration};

use lab::Lab;

use crate::{
    net::{Net, random_file, same, text},
    support::{HEDGEROW, stderr},
};

/// Puts a text under a name at a node; what is printed.
fn put(net: &Net, node: usize, name: &str, content: &str) -> String {
    let file = net.lab.home(node).join("content");
    fs::write(&file, content).unwrap();
    net.ok(node, &["object", "put", file.to_str().unwrap(), name])
}

/// Starts nodes that have ended, and waits until each has joined.
fn start_again(net: &Net, nodes: std::ops::Range<usize>) {
    for node in nodes.clone() {
        net.lab.start(node).unwrap();
    }
    for node in nodes {
        net.lab.wait_ready(node, Duration::from_secs(60)).unwrap();
    }
}

fn read(net: &Net, node: usize, reference: &str) -> String {
    net.ok(node, &["object", "get", reference, "-o", "-"])
}

#[test]
fn versions_outlive_all_nodes_and_their_owner() {
    if !Lab::available_or_skip("versions_outlive_all_nodes_and_their_owner") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(4));
    net.until_settled(&[0, 1, 2, 3]);
    assert_eq!(put(&net, 0, "photos/cat.txt", "first"), "photos/cat.txt@v1");
    assert_eq!(
        put(&net, 0, "photos/cat.txt", "second"),
        "photos/cat.txt@v2"
    );
    put(&net, 0, "dog", "woof");
    let owner = net.peer_id(0);
    let theirs = format!("{owner}:photos/cat.txt");
    assert_eq!(read(&net, 1, &theirs), "second");
    assert_eq!(read(&net, 2, &format!("{theirs}@v1")), "first");
    let listed = net.json(0, &["object", "versions", "photos/cat.txt"]);
    assert_eq!(listed["versions"].as_array().unwrap().len(), 2);
    assert_eq!(listed["heads"], 1);
    let stat = net.json(1, &["object", "stat", &theirs]);
    assert_eq!(stat["owner"], owner.as_str());
    assert_eq!((&stat["mine"], &stat["newest"]), (&false.into(), &2.into()));
    let by_aguid = format!("hedgerow:{}@v1", text(&stat["aguid"]));
    assert_eq!(read(&net, 3, &by_aguid), "first");

    // An alias on another node; nobody else writes the name.
    net.ok(1, &["key", "alias", "add", "ann", &owner]);
    assert_eq!(read(&net, 1, "ann:photos/cat.txt"), "second");
    assert_eq!(
        net.ok(1, &["object", "ls", "ann:photos/"]),
        "photos/cat.txt"
    );
    let taken = net.run(1, &["object", "rm", "ann:photos/cat.txt"]);
    assert_eq!(taken.status.code(), Some(2), "{}", stderr(&taken));

    net.ok(0, &["object", "rm", "photos/cat.txt"]);
    let gone = net.run(2, &["object", "get", &theirs, "-o", "-"]);
    assert_eq!(gone.status.code(), Some(4), "{}", stderr(&gone));
    assert!(
        stderr(&gone).contains("removed by version 3"),
        "{}",
        stderr(&gone)
    );
    assert_eq!(net.ok(0, &["object", "ls"]), "dog");
    let miss = net.run(0, &["object", "get", "dgo", "-o", "-"]);
    assert_eq!(miss.status.code(), Some(4));
    assert!(
        stderr(&miss).contains("did you mean dog?"),
        "{}",
        stderr(&miss)
    );

    // All nodes at once, without a farewell.
    for node in 0..4 {
        net.lab.kill(node).unwrap();
    }
    start_again(&net, 0..4);
    net.until_settled(&[0, 1, 2, 3]);
    let restored = net.ok(0, &["object", "restore", "photos/cat.txt@v1"]);
    assert_eq!(restored, "photos/cat.txt@v4");
    assert_eq!(read(&net, 1, "ann:photos/cat.txt"), "first");

    // The owner's node is gone: its newest version is not.
    net.lab.kill(0).unwrap();
    net.until_settled(&[1, 2, 3]);
    assert_eq!(read(&net, 2, &theirs), "first");
    assert_eq!(read(&net, 3, &format!("{theirs}@v2")), "second");
}

/// Runs a command that reads `input`.
fn piped(net: &Net, node: usize, args: &[&str], input: &[u8]) -> String {
    let home = net.lab.home(node).to_str().unwrap();
    let mut child = net
        .lab
        .command(node, HEDGEROW)
        .unwrap()
        .args(["--home", home, "--no-progress", "--timeout", "2min"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", output.status);
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

#[test]
fn a_small_change_of_a_large_file_makes_few_blocks() {
    if !Lab::available_or_skip("a_small_change_of_a_large_file_makes_few_blocks") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    let original = net.lab.home(0).with_extension("original");
    random_file(&original, 20 << 20, 21);
    net.ok(0, &["object", "put", original.to_str().unwrap(), "large"]);
    let blocks = || net.json(0, &["node", "status"])["blocks"].as_u64().unwrap();
    let before = blocks();
    let piece = vec![7; 4096];
    let written = piped(
        &net,
        0,
        &["object", "write", "large", "--offset", "10000000"],
        &piece,
    );
    assert_eq!(written, "large@v2");
    // What was piped, the leaf, the root, and the record.
    assert!(blocks() - before <= 4, "{} new blocks", blocks() - before);
    let diff = net.json(0, &["object", "diff", "large@v1", "large@v2"]);
    let ranges = diff["ranges"].as_array().unwrap();
    assert_eq!(ranges.len(), 1);
    assert_eq!(ranges[0]["length"], 1 << 20);

    let mut model = fs::read(&original).unwrap();
    model[10_000_000..10_004_096].copy_from_slice(&piece);
    piped(
        &net,
        0,
        &["object", "write", "large", "--offset", "5", "--insert"],
        b"in",
    );
    model.splice(5..5, *b"in");
    piped(&net, 0, &["object", "write", "large", "--append"], b"end");
    model.extend(b"end");
    net.ok(
        0,
        &[
            "object", "write", "large", "--offset", "100", "--delete", "50",
        ],
    );
    model.drain(100..150);
    net.ok(
        0,
        &[
            "object",
            "write",
            "large",
            "--offset",
            "15000000",
            "--truncate",
        ],
    );
    model.truncate(15_000_000);
    let (wanted, copy) = (
        original.with_extension("wanted"),
        original.with_extension("copy"),
    );
    fs::write(&wanted, &model).unwrap();
    net.ok(0, &["object", "get", "large", "-o", copy.to_str().unwrap()]);
    assert!(same(&wanted, &copy));
    net.ok(
        0,
        &[
            "object",
            "get",
            "large@v1",
            "-o",
            copy.with_extension("1").to_str().unwrap(),
        ],
    );
    assert!(same(&original, &copy.with_extension("1")));

    // A condition that does not hold.
    let refused = net.run(0, &["object", "rm", "large", "--if-version", "2"]);
    assert_eq!(refused.status.code(), Some(6), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("the newest is 6"),
        "{}",
        stderr(&refused)
    );
    let beyond = net.run(
        0,
        &[
            "object", "write", "large", "--offset", "99999999", "--delete", "1",
        ],
    );
    assert_eq!(beyond.status.code(), Some(2), "{}", stderr(&beyond));
}

#[test]
fn two_nodes_with_one_key_fork_and_it_shows() {
    if !Lab::available_or_skip("two_nodes_with_one_key_fork_and_it_shows") {
        return;
    }
    // Node 0 writes, is stopped, and its home as it was before is started again: its second
    // write does not know of the first one's record until the replicas say so.
    let net = Net::start(Lab::builder().nodes(3));
    net.until_settled(&[0, 1, 2]);
    put(&net, 0, "cat", "base");
    // With the replicas away, both versions are made alone: by the node, and by a copy.
    for node in 0..3 {
        net.lab.stop(node).unwrap();
    }
    let home = net.lab.home(0).to_owned();
    let copy = home.with_extension("before");
    copy_folder(&home, &copy);
    start_again(&net, 0..1);
    assert_eq!(put(&net, 0, "cat", "ours"), "cat@v2");
    net.lab.stop(0).unwrap();
    // The other two go on with the copy of the key's home, which has not heard of it.
    let ours = home.with_extension("ours");
    fs::rename(&home, &ours).unwrap();
    fs::rename(&copy, &home).unwrap();
    start_again(&net, 0..3);
    net.until_settled(&[0, 1, 2]);
    assert_eq!(put(&net, 0, "cat", "theirs"), "cat@v2");
    let owner = net.peer_id(0);
    net.lab.stop(0).unwrap();
    // The first home comes back with its own second version.
    fs::rename(&home, &copy).unwrap();
    fs::rename(&ours, &home).unwrap();
    start_again(&net, 0..1);
    net.until_settled(&[0, 1, 2]);
    let stat = net.json(0, &["object", "stat", "cat"]);
    let fork = stat["fork"].as_array().unwrap();
    assert_eq!(fork.len(), 2, "{stat}");
    let refused = net.run(1, &["object", "get", &format!("{owner}:cat"), "-o", "-"]);
    assert_eq!(refused.status.code(), Some(6), "{}", stderr(&refused));
    let mut contents = Vec::new();
    for branch in fork {
        let vguid = text(&branch["vguid"]);
        assert!(stderr(&refused).contains(&vguid), "{}", stderr(&refused));
        contents.push(read(&net, 1, &format!("{owner}:cat@{vguid}")));
    }
    contents.sort();
    assert_eq!(contents, ["ours", "theirs"]);
    let chosen = format!("cat@{}", text(&fork[0]["vguid"]));
    assert_eq!(net.ok(0, &["object", "restore", &chosen]), "cat@v3");
    assert!(read(&net, 2, &format!("{owner}:cat")).ends_with("rs"));
    let listed = net.json(2, &["object", "versions", &format!("{owner}:cat")]);
    assert_eq!(listed["versions"].as_array().unwrap().len(), 4);
}

/// Copies a folder that nobody writes to.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.metadata() {
            Ok(meta) if meta.is_dir() => copy_folder(&path, &target),
            Ok(meta) if meta.is_file() => drop(fs::copy(&path, &target).unwrap()),
            _ => {}
        }
    }
}

const WALK: &str = include_str!("../../../docs/guide/versions.md");

#[test]
fn the_walk_through_versions_works_as_written() {
    if !Lab::available_or_skip("the_walk_through_versions_works_as_written") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    net.walk(
        0,
        WALK,
        "sh versions",
        &[
            "cakes/recipe.txt@v1\n",
            "one egg\n",
            "0+9\n",
            "six eggs\nbutter\n",
            "refused\n",
            "cakes/recipe.txt@v6\ntwo eggs\n",
            "(this node)",
            "cakes/recipe.txt@v6  ",
            "that was all in ten seconds\n",
        ],
    );
}
