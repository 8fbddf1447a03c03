//! Copies that reads leave behind, between real nodes (R17 to R20).

use std::path::Path;

use guid::Guid;
use lab::Lab;

use crate::net::{Net, random_file, same, text};

/// So many that a read which asks the 8 closest (R11) does not come to the farthest two
/// when three have died.
const NODES: usize = 13;

/// Nodes in the order of their distance from a block, the closest first.
fn by_distance(net: &Net, cid: &str) -> Vec<usize> {
    let key = Guid::of_cid(&cid.parse::<cid::Cid>().unwrap().to_bytes());
    let guids: Vec<Guid> = (0..net.lab.len()).map(|node| net.guid(node)).collect();
    let mut nodes: Vec<usize> = (0..net.lab.len()).collect();
    nodes.sort_by(|a, b| key.cmp_distance(guids[*a], guids[*b]));
    nodes
}

fn get(net: &Net, node: usize, cid: &str, original: &Path) {
    let copy = net.lab.home(node).with_extension("copy");
    net.ok(node, &["object", "get", cid, "-o", copy.to_str().unwrap()]);
    assert!(same(original, &copy));
    std::fs::remove_file(&copy).unwrap();
}

/// The PeerIds that publish a copy of a block, as `object stat` at a node tells them.
fn copies(net: &Net, node: usize, cid: &str) -> Vec<String> {
    let stat = net.json(node, &["object", "stat", cid]);
    let copies = stat["copies"].as_array().unwrap().iter();
    copies.map(text).collect()
}

#[test]
fn a_copy_that_a_read_left_serves_when_all_replicas_are_gone() {
    if !Lab::available_or_skip("a_copy_that_a_read_left_serves_when_all_replicas_are_gone") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(NODES));
    let all: Vec<usize> = (0..NODES).collect();
    net.until_settled(&all);
    let original = net.lab.home(0).with_extension("original");
    random_file(&original, 700_000, 71);
    let content = std::fs::read(&original).unwrap();
    let block = blocks::Block::of(blocks::RAW, content.into()).unwrap();
    let cid = block.cid().to_string();
    let order = by_distance(&net, &cid);
    let (replicas, others) = order.split_at(3);
    // At one of its replicas, so that a put leaves no copy elsewhere.
    let put = net.ok(replicas[0], &["object", "put", original.to_str().unwrap()]);
    assert_eq!(put, cid);
    // The farthest: other reads do not come to it by themselves.
    let mut far = others.iter().rev().copied();
    let (reader, second, third) = (
        far.next().unwrap(),
        far.next().unwrap(),
        far.next().unwrap(),
    );
    get(&net, reader, &cid, &original);
    let me = net.peer_id(reader);
    net.until("the copy is published", || {
        copies(&net, replicas[0], &cid) == [me.clone()]
    });
    let status = net.json(reader, &["node", "status"]);
    assert_eq!(
        (&status["cached"], &status["published"]),
        (&1.into(), &1.into())
    );

    for node in replicas {
        net.lab.kill(*node).unwrap();
    }
    get(&net, second, &cid, &original);

    // What is in a cache may be thrown away. Then there is none, and who published it
    // has noticed.
    net.lab.kill(second).unwrap();
    let cache = net.lab.home(reader).join("cache").join(&cid);
    std::fs::remove_file(&cache).unwrap();
    let output = net.run(third, &["object", "get", &cid, "-o", "-"]);
    assert!(!output.status.success());
    net.until("the holder publishes it no more", || {
        net.json(reader, &["node", "status"])["published"] == 0
    });
}

#[test]
fn a_copy_that_makes_room_is_published_no_more() {
    if !Lab::available_or_skip("a_copy_that_makes_room_is_published_no_more") {
        return;
    }
    let net = Net::start_with(Lab::builder().nodes(5), &["--cache-max-mib", "1"]);
    net.until_settled(&[0, 1, 2, 3, 4]);
    // Two files that do not fit into the cache together, read by a node that keeps neither.
    let dir = tempfile::tempdir().unwrap();
    let mut read: Vec<String> = Vec::new();
    let mut reader = None;
    for seed in 0..100 {
        let original = dir.path().join(seed.to_string());
        random_file(&original, 600_000, 1000 + seed);
        let cid = net.ok(0, &["object", "put", original.to_str().unwrap()]);
        let order = by_distance(&net, &cid);
        let outside = order[3..].iter().copied().find(|node| *node != 0);
        let Some(outside) = outside.filter(|node| reader.is_none_or(|reader| reader == *node))
        else {
            continue;
        };
        reader = Some(outside);
        get(&net, outside, &cid, &original);
        let me = net.peer_id(outside);
        // Somebody who keeps it for good asks, so that asking leaves no copy.
        let asker = order[0];
        net.until("the copy is published", || {
            copies(&net, asker, &cid).contains(&me)
        });
        read.push(cid);
        if let [first, _] = &read[..] {
            let asker = by_distance(&net, first)[0];
            net.until("the first one is published no more", || {
                !copies(&net, asker, first).contains(&me)
            });
            let status = net.json(outside, &["node", "status"]);
            assert_eq!(status["cached"], 1);
            return;
        }
    }
    panic!("no node was outside of two replica sets");
}

#[test]
fn a_node_that_is_told_so_keeps_and_publishes_nothing() {
    if !Lab::available_or_skip("a_node_that_is_told_so_keeps_and_publishes_nothing") {
        return;
    }
    let flags = ["--cache-max-mib", "0", "--cache-published", "0"];
    let net = Net::start_with(Lab::builder().nodes(5), &flags);
    net.until_settled(&[0, 1, 2, 3, 4]);
    let original = net.lab.home(0).with_extension("original");
    random_file(&original, 100_000, 72);
    let cid = net.ok(0, &["object", "put", original.to_str().unwrap()]);
    for node in 1..5 {
        get(&net, node, &cid, &original);
        let status = net.json(node, &["node", "status"]);
        assert_eq!(
            (&status["cached"], &status["published"]),
            (&0.into(), &0.into())
        );
        assert!(!net.lab.home(node).join("cache").exists());
        assert!(copies(&net, node, &cid).is_empty());
    }
}
