//! Files and directories among nodes.

use std::fs;

use lab::Lab;

use crate::{
    net::{Net, random_file, same},
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
