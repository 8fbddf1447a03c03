//! Archived versions on real nodes.

use std::{path::Path, time::Duration};

use lab::Lab;
use serde_json::Value;

use crate::{
    net::{Net, random_file, text},
    support::stderr,
};

/// The nodes that keep a block, as one of them sees it.
fn keepers(net: &Net, cid: &str) -> Vec<usize> {
    let route = net.json(0, &["overlay", "route", cid]);
    let peers: Vec<String> = (0..net.lab.len()).map(|node| net.peer_id(node)).collect();
    let closest = route["closest"].as_array().expect("nodes");
    let node = |contact: &Value| {
        let peer = text(&contact["peer_id"]);
        peers
            .iter()
            .position(|known| *known == peer)
            .expect("a node of the lab")
    };
    closest.iter().map(node).collect()
}

/// The CID that a file has.
fn cid_of(file: &Path) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let blocks = unixfs::MemoryBlocks::default();
    let options = unixfs::Options::default();
    let import = unixfs::import_path(file, &blocks, &options, &|_| ());
    runtime.block_on(import).unwrap().cid.to_string()
}

fn status(net: &Net, node: usize, reference: &str) -> Value {
    net.json(node, &["archive", "status", reference])[0].clone()
}

#[test]
fn a_version_outlives_all_replicas_of_its_blocks() {
    if !Lab::available_or_skip("a_version_outlives_all_replicas_of_its_blocks") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(6));
    let all: Vec<usize> = (0..6).collect();
    net.until_settled(&all);
    // The node that puts a file keeps its blocks too: one is wanted whose root belongs to it.
    let original = net.lab.home(0).with_extension("original");
    let lost = (0..)
        .find_map(|seed| {
            random_file(&original, 5_000_000, seed);
            let keepers = keepers(&net, &cid_of(&original));
            keepers.contains(&0).then_some(keepers)
        })
        .unwrap();
    assert_eq!(lost.len(), 3);
    let cid = net.put(0, "photos/cat.jpg", &original);
    let said = net.ok(0, &["archive", "add", "photos/cat.jpg"]);
    assert_eq!(said, "photos/cat.jpg@v1  6 nodes: any 3 of 6 fragments");
    let owner = net.peer_id(0);
    let theirs = format!("{owner}:photos/cat.jpg");
    let left: Vec<usize> = all
        .into_iter()
        .filter(|node| !lost.contains(node))
        .collect();
    let counted = status(&net, left[0], &theirs);
    assert_eq!(
        (&counted["nodes"], &counted["least"]),
        (&6.into(), &6.into())
    );
    assert_eq!(counted["there"], counted["wanted"]);
    let vguid = text(&counted["archive"]["vguid"]);

    for node in &lost {
        net.lab.kill(*node).unwrap();
    }
    net.until_settled(&left);
    assert!(
        !net.reads(left[0], &cid, &original),
        "no node has the root any more"
    );
    // Heads and record may be gone as well: the archive is found without them.
    let restored = net.json(left[1], &["archive", "restore", &theirs]);
    assert_eq!(restored["root"], cid.as_str());
    // Five chunks, the node above them, the record.
    assert_eq!(restored["blocks"], 7);
    for node in &left {
        assert!(net.reads(*node, &cid, &original), "node {node}");
    }
    // Also by the VGUID alone.
    assert_eq!(net.ok(left[2], &["archive", "restore", &vguid]), cid);

    // One more is one too many.
    net.lab.kill(left[2]).unwrap();
    net.until_settled(&left[..2]);
    let failed = net.run(left[0], &["archive", "restore", &theirs]);
    assert_eq!(failed.status.code(), Some(5), "{}", stderr(&failed));
    let said = stderr(&failed);
    assert!(said.contains("2 of 6 could be got, 3 are needed"), "{said}");
}

#[test]
fn sweeps_make_lost_fragments_anew() {
    if !Lab::available_or_skip("sweeps_make_lost_fragments_anew") {
        return;
    }
    let flags = ["--archive-sweep-seconds", "1"];
    let net = Net::start_with(Lab::builder().nodes(6), &flags);
    let mut alive: Vec<usize> = (0..6).collect();
    net.until_settled(&alive);
    let original = net.lab.home(0).with_extension("original");
    random_file(&original, 2_000_000, 9);
    let cid = net.put(0, "photos/dog.jpg", &original);
    net.ok(0, &["archive", "add", "photos/dog.jpg"]);
    let theirs = format!("{}:photos/dog.jpg", net.peer_id(0));
    let peers: Vec<String> = (0..6).map(|node| net.peer_id(node)).collect();

    // Any 3 of 6 fragments are enough, so without repair the loss of 4 nodes is too much.
    for _ in 0..4 {
        let counted = status(&net, alive[0], &theirs);
        let columns = counted["columns"].as_array().unwrap();
        // Who has fewest: with few nodes left one of them may have more than may be lost.
        let has = |node: &usize| {
            let mine = |column: &&Value| column["peer_id"] == peers[*node].as_str();
            columns.iter().filter(mine).count()
        };
        let victim = *alive.iter().min_by_key(|node| has(node)).unwrap();
        net.lab.kill(victim).unwrap();
        alive.retain(|node| *node != victim);
        net.until_settled(&alive);
        net.until("all fragments are there again", || {
            let counted = status(&net, alive[0], &theirs);
            counted["there"] == counted["wanted"]
        });
    }
    let looked = alive.iter().any(|node| {
        let counted = status(&net, *node, &theirs);
        counted["looked"]["made"].is_u64()
    });
    assert!(looked, "one of those that are left looks after it");
    let restored = net.ok(alive[1], &["archive", "restore", &theirs]);
    assert_eq!(restored, cid);
    assert!(net.reads(alive[0], &cid, &original));
}

#[test]
fn what_is_not_archived_or_restored_says_why() {
    if !Lab::available_or_skip("what_is_not_archived_or_restored_says_why") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(2));
    net.until_settled(&[0, 1]);
    let fails = |node: usize, args: &[&str], code: i32, says: &str| {
        let output = net.run(node, args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    };
    let file = net.lab.home(0).with_extension("file");
    random_file(&file, 10, 1);
    net.put(0, "cat", &file);
    let theirs = format!("{}:cat", net.peer_id(0));
    fails(0, &["archive", "add", "cta"], 4, "did you mean cat?");
    fails(0, &["archive", "add", "cat@v7"], 4, "object versions");
    fails(
        0,
        &["archive", "status", "cat"],
        4,
        "hedgerow archive add NAME",
    );
    fails(
        1,
        &["archive", "restore", &theirs],
        4,
        "no version of it is archived",
    );
    fails(1, &["archive", "add", &theirs], 6, "only the owner");
    fails(0, &["archive", "add", "a//b"], 2, "name");
    assert_eq!(
        net.ok(0, &["archive", "add", "cat"]),
        "cat@v1  2 nodes: any 1 of 2 fragments"
    );
    fails(
        0,
        &["archive", "add", "cat"],
        6,
        "archived already: any 1 of 2",
    );
    net.ok(0, &["archive", "add", "cat", "--again"]);
    fails(
        1,
        &["archive", "restore", &format!("{theirs}@v2")],
        4,
        "archived are: v1",
    );
    let overview = net.json(0, &["archive", "status"]);
    assert_eq!(overview["archives"][0]["name"], "cat");
    net.ok(0, &["object", "rm", "cat"]);
    fails(0, &["archive", "add", "cat@v2"], 4, "removed");
    // Alone there is nobody to give fragments to.
    net.put(0, "dog", &file);
    net.lab.kill(1).unwrap();
    net.until_settled(&[0]);
    fails(0, &["archive", "add", "dog"], 5, "at least 2");
}

#[test]
fn names_are_archived_by_themselves() {
    if !Lab::available_or_skip("names_are_archived_by_themselves") {
        return;
    }
    let flags = ["--archive-settle-seconds", "0"];
    let net = Net::start_with(Lab::builder().nodes(3), &flags);
    net.until_settled(&[0, 1, 2]);
    let file = net.lab.home(0).with_extension("original");
    random_file(&file, 300_000, 1);
    for name in ["photos/old", "notes/old", "first"] {
        net.put(0, name, &file);
    }
    // Nodes that have just come do not say yet what the newest of anything is, and then it is
    // tried again later and later.
    let until_it_works = || {
        net.until("a version can be archived", || {
            let added = net.run(0, &["archive", "add", "first"]);
            matches!(added.status.code(), Some(0 | 6))
        })
    };
    until_it_works();
    let is_archived = |reference: &str| {
        let status = net.run(0, &["archive", "status", reference]);
        status.status.success()
    };
    net.ok(0, &["archive", "policy", "add", "photos/"]);
    // What was there before, what is new, and each version of it.
    net.until("photos/old is archived", || is_archived("photos/old"));
    net.put(0, "photos/new", &file);
    net.until("photos/new is archived", || is_archived("photos/new@v1"));
    random_file(&file, 300_000, 2);
    net.put(0, "photos/new", &file);
    net.until("its second version is", || is_archived("photos/new@v2"));
    let policy = net.json(0, &["archive", "policy", "ls"]);
    assert_eq!(policy["prefixes"][0], "photos/");
    assert_eq!(
        (&policy["waiting"], &policy["archived"]),
        (&0.into(), &3.into())
    );
    assert!(!is_archived("notes/old"));

    // It outlives the node, and what is not to be archived any more is not.
    assert!(net.lab.stop(0).unwrap().success());
    net.lab.start(0).unwrap();
    net.lab.wait_ready(0, Duration::from_secs(60)).unwrap();
    net.until_settled(&[0, 1, 2]);
    until_it_works();
    net.put(0, "photos/newer", &file);
    net.until("photos/newer is archived", || is_archived("photos/newer"));
    net.ok(0, &["archive", "policy", "rm", "photos/"]);
    net.put(0, "photos/last", &file);
    let policy = net.json(0, &["archive", "policy", "ls"]);
    assert_eq!(
        (&policy["prefixes"], &policy["waiting"]),
        (&Value::Array(Vec::new()), &0.into())
    );
    assert!(!is_archived("photos/last"));
    for (args, code, said) in [
        (
            ["archive", "policy", "rm", "photos/"],
            4,
            "are not archived by themselves",
        ),
        (["archive", "policy", "add", "a//b"], 2, "an empty part"),
    ] {
        let refused = net.run(0, &args);
        assert_eq!(refused.status.code(), Some(code), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(said), "{}", stderr(&refused));
    }
}

const WALK: &str = include_str!("../../../docs/guide/archive.md");

#[test]
fn the_walk_through_the_archive_works_as_written() {
    if !Lab::available_or_skip("the_walk_through_the_archive_works_as_written") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(4));
    net.until_settled(&[0, 1, 2, 3]);
    let walk = |info: &str, said: &[&str]| net.walk(0, WALK, info, said);
    walk(
        "sh archive",
        &[
            "cakes/recipe.txt@v2  4 nodes: any 2 of 4 fragments\n",
            "cakes/recipe.txt@v1  4 nodes: any 2 of 4 fragments\n",
            "already there\n",
            "on 4 nodes; at least 4 of each part\n",
            "it outlives the loss of 2 fragments more\n",
        ],
    );
    net.lab.kill(1).unwrap();
    net.lab.kill(3).unwrap();
    net.until_settled(&[0, 2]);
    walk("sh archive lose", &["at least 2 of each part\n"]);
    walk("sh archive lost", &["all of it is back\n"]);
}
