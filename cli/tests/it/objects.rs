//! Files and directories among nodes.

use std::{fs, path::Path};

use lab::Lab;

use crate::{
    net::{Net, random_file, same, text},
    support::stderr,
};

#[test]
fn what_is_put_at_one_node_is_got_at_another() {
    if !Lab::available_or_skip("what_is_put_at_one_node_is_got_at_another") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(3));
    net.until_settled(&[0, 1, 2]);
    let ids: Vec<_> = (0..3).map(|node| net.peer_id(node)).collect();
    let pongs = net.json(0, &["peers", "ping", &ids[1], "-c", "2"]);
    assert_eq!(pongs.as_array().unwrap().len(), 2);

    // A get that was broken off goes on where it stopped.
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    random_file(&original, 5_000_000, 5);
    let put = net.json(1, &["object", "put", original.to_str().unwrap()]);
    assert_eq!(put["size"], 5_000_000);
    let cid = put["cid"].as_str().unwrap();
    let resumed = dir.path().join("resumed");
    let begun = &fs::read(&original).unwrap()[..2 << 20];
    fs::write(dir.path().join(format!(".{cid}.part")), begun).unwrap();
    let got = net.json(2, &["object", "get", cid, "-o", resumed.to_str().unwrap()]);
    assert_eq!(got["kept"], 2 << 20);
    assert!(same(&original, &resumed));
    assert_eq!(net.json(0, &["object", "stat", cid])["size"], 5_000_000);

    // A directory.
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("inner")).unwrap();
    fs::write(tree.join("a"), b"one").unwrap();
    fs::write(tree.join("inner/b"), b"two").unwrap();
    let put = net.json(0, &["object", "put", tree.to_str().unwrap()]);
    let cid = put["cid"].as_str().unwrap();
    let listed = net.json(1, &["object", "ls", cid]);
    assert_eq!(listed[0]["name"], "a");
    let copy = dir.path().join("copy");
    let copy = copy.to_str().unwrap();
    net.ok(2, &["object", "get", cid, "-o", copy]);
    assert_eq!(fs::read(format!("{copy}/inner/b")).unwrap(), b"two");
    // What is there already is not overwritten.
    let again = net.run(2, &["object", "get", cid, "-o", copy]);
    assert_eq!(again.status.code(), Some(6), "{}", stderr(&again));

    // What nobody has: the block of the five bytes `hello`.
    let absent = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";
    let output = net.run(0, &["object", "get", absent, "-o", "-"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    for other in &ids[1..] {
        assert!(stderr(&output).contains(other), "{}", stderr(&output));
    }

    // An idle node is small. Its program is not counted: as it is built for tests it is large.
    let status = net.json(0, &["node", "status"]);
    let held = fs::read_to_string(format!("/proc/{}/status", status["pid"])).unwrap();
    let held = held.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let held = held.unwrap().trim().strip_suffix(" kB").unwrap();
    assert!(held.parse::<u64>().unwrap() < 32 << 10, "{held} kB held");
}

#[test]
fn files_are_cut_where_their_content_says() {
    if !Lab::available_or_skip("files_are_cut_where_their_content_says") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    random_file(&before, 3_000_000, 1);
    let mut bytes = fs::read(&before).unwrap();
    bytes.splice(1000..1000, *b"inserted");
    fs::write(&after, bytes).unwrap();
    let put = |file: &Path| {
        let file = file.to_str().unwrap();
        text(&net.json(0, &["object", "put", file, "--chunker", "fastcdc-65536"])["cid"])
    };
    let (one, other) = (put(&before), put(&after));
    let copy = folder.path().join("copy");
    net.ok(0, &["object", "get", &other, "-o", copy.to_str().unwrap()]);
    assert!(same(&after, &copy));
    // All but the chunk with the insertion, and perhaps the one behind it, is shared: a second
    // version takes the room of what is new.
    let stored = net.json(0, &["node", "status"])["block_bytes"].clone();
    let stored = stored.as_u64().unwrap();
    assert!(stored > 3_000_000 && stored < 3_600_000, "{stored}");
    assert_ne!(one, other);
    for (chunker, said) in [
        ("rabin", "is none of size-BYTES, fastcdc and fastcdc-BYTES"),
        ("size-100", "at least 4096 bytes"),
    ] {
        let file = before.to_str().unwrap();
        let refused = net.run(0, &["object", "put", file, "--chunker", chunker]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains(said), "{}", stderr(&refused));
    }
}
