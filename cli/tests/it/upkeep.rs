//! Pins, letting go and checks on real nodes.

use std::{fs, time::Duration};

use lab::Lab;
use serde_json::Value;

use crate::{
    net::{Net, random_file, text},
    support::stderr,
};

const MIB: u64 = 1 << 20;

fn count(value: &Value, key: &str) -> u64 {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn what_is_pinned_is_here_though_all_others_are_gone() {
    if !Lab::available_or_skip("what_is_pinned_is_here_though_all_others_are_gone") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(6));
    let all: Vec<usize> = (0..6).collect();
    net.until_settled(&all);
    let file = net.lab.home(0).with_extension("original");
    random_file(&file, 6_500_000, 1);
    let content = net.put(0, "photos/cat.jpg", &file);
    let theirs = format!("{}:photos/cat.jpg", net.peer_id(0));

    net.ok(5, &["key", "alias", "add", "ann", &net.peer_id(0)]);
    let pinned = net.json(5, &["pin", "add", &theirs]);
    assert_eq!(pinned["state"], "whole");
    assert_eq!(pinned["name"], "ann:photos/cat.jpg@v1");
    // Seven chunks, the node above them, the record.
    assert_eq!(count(&pinned, "blocks"), 9);
    assert!(count(&pinned, "bytes") > 6_500_000);
    let listed = net.json(5, &["pin", "ls"]);
    assert_eq!(listed, Value::Array(vec![pinned.clone()]));
    assert_eq!(net.json(0, &["pin", "ls"]), Value::Array(Vec::new()));

    // What is let go of elsewhere and here is none of it.
    for node in &all {
        net.ok(*node, &["gc"]);
    }
    let cid = text(&pinned["cid"]);
    for node in 0..5 {
        net.lab.kill(node).unwrap();
    }
    assert!(net.reads(5, &content, &file));
    // By its name, though nobody can be asked for that any more.
    assert_eq!(
        net.ok(5, &["pin", "rm", "ann:photos/cat.jpg"]),
        "ann:photos/cat.jpg@v1"
    );
    let refused = net.run(5, &["pin", "rm", &cid]);
    assert_eq!(refused.status.code(), Some(4), "{}", stderr(&refused));
}

#[test]
fn a_pin_goes_on_after_kill_9() {
    if !Lab::available_or_skip("a_pin_goes_on_after_kill_9") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(5));
    net.until_settled(&[0, 1, 2, 3, 4]);
    let file = net.lab.home(0).with_extension("original");
    random_file(&file, 60 * MIB, 2);
    let cid = net.put(0, "films/cat.mkv", &file);
    let added = net.json(4, &["pin", "add", &cid, "--no-wait"]);
    assert_eq!(added["state"], "getting");
    net.lab.kill(4).unwrap();
    net.lab.start(4).unwrap();
    net.until("the pin is whole", || {
        net.run(4, &["pin", "ls"]).status.success()
            && net.json(4, &["pin", "ls"])[0]["state"] == "whole"
    });
    let pinned = net.json(4, &["pin", "ls"])[0].clone();
    assert_eq!(count(&pinned, "blocks"), 61);
    assert_eq!(pinned["bytes"], pinned["expected_bytes"]);
    for node in 0..4 {
        net.lab.kill(node).unwrap();
    }
    assert!(net.reads(4, &cid, &file));
}

#[test]
fn copies_go_and_everything_is_still_there() {
    if !Lab::available_or_skip("copies_go_and_everything_is_still_there") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(6));
    let all: Vec<usize> = (0..6).collect();
    net.until_settled(&all);
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = (0..12)
        .map(|number| {
            let file = folder.path().join(format!("{number}"));
            random_file(&file, 1_200_000 + number, number);
            net.put(0, &format!("files/{number}"), &file);
            file
        })
        .collect();
    let before = net.json(0, &["node", "status"]);
    // Not all who have to keep a block may have it when its put returns.
    let mut dry = Value::Null;
    net.until("all copies that can go", || {
        dry = net.json(0, &["gc", "--dry-run"]);
        count(&dry, "waiting") == 0
    });
    assert_eq!(net.json(0, &["node", "status"])["blocks"], before["blocks"]);
    let gone = net.json(0, &["gc"]);
    assert_eq!(gone["dry"], false);
    assert_eq!(count(&gone, "gone"), count(&dry, "gone"));
    assert!(count(&gone, "gone") > 10, "{gone}");
    let after = net.json(0, &["node", "status"]);
    let freed = count(&before, "block_bytes") - count(&after, "block_bytes");
    assert_eq!(freed, count(&gone, "gone_bytes"));
    for node in [0, 5] {
        for (number, file) in files.iter().enumerate() {
            let name = match node {
                0 => format!("files/{number}"),
                _ => format!("{}:files/{number}", net.peer_id(0)),
            };
            assert!(net.reads(node, &name, file), "{name} at node {node}");
        }
    }
    // All of it is where it should be, as many times as it should be.
    let checked = net.json(0, &["fsck"]);
    assert_eq!(count(&checked, "roots"), 12);
    // Two chunks, the node above them, the record, twelve times.
    assert_eq!(count(&checked, "blocks"), 48);
    for key in ["damaged", "thin", "lost"] {
        assert_eq!(count(&checked, key), 0, "{checked}");
    }
}

#[test]
fn a_check_names_what_nobody_has() {
    if !Lab::available_or_skip("a_check_names_what_nobody_has") {
        return;
    }
    // Without caches, in which what was read once would still be.
    let net = Net::start_with(Lab::builder().nodes(7), &["--cache-max-mib", "0"]);
    let all: Vec<usize> = (0..7).collect();
    net.until_settled(&all);
    // One whose root this node has no duty to keep.
    let file = net.lab.home(0).with_extension("original");
    let me = net.peer_id(0);
    let (cid, keepers) = (0..)
        .find_map(|seed| {
            random_file(&file, 5_000_000, seed);
            let cid = net.put(0, "photos/cat.jpg", &file);
            let stat = net.json(0, &["object", "stat", &cid]);
            let keepers = stat["keepers"].as_array().unwrap().iter();
            let keepers: Vec<String> = keepers.map(|keeper| text(&keeper["peer_id"])).collect();
            (!keepers.contains(&me)).then_some((cid, keepers))
        })
        .unwrap();
    let here = net.ok(0, &["fsck", "--here"]);
    assert!(here.starts_with("here     "), "{here}");
    assert!(here.ends_with(" 0 damaged"), "{here}");
    let whole = net.ok(0, &["fsck", "photos/cat.jpg"]);
    assert!(whole.contains("lost     0 blocks"), "{whole}");
    net.until("copies are let go", || {
        count(&net.json(0, &["gc"]), "waiting") == 0
    });
    // All who have to keep the root are lost together, and there is no other copy.
    let gone: Vec<usize> = all
        .iter()
        .copied()
        .filter(|node| keepers.contains(&net.peer_id(*node)))
        .collect();
    assert_eq!(gone.len(), 3);
    for node in &gone {
        net.lab.kill(*node).unwrap();
    }
    let left: Vec<usize> = all
        .into_iter()
        .filter(|node| !gone.contains(node))
        .collect();
    net.until_settled(&left);
    let failed = net.run(0, &["fsck", &cid]);
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
    let out = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert!(out.contains("lost     1 blocks"), "{out}");
    assert!(out.contains(&format!("{cid}: block {cid}: ")), "{out}");
    let said = stderr(&failed);
    assert!(
        said.contains("1 of what names and pins lead to cannot be got"),
        "{said}"
    );
}

#[test]
fn the_budget_is_kept() {
    if !Lab::available_or_skip("the_budget_is_kept") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    let start_with = |mib: u32| {
        assert!(net.lab.stop(0).unwrap().success());
        let settings = format!("[store]\nmax_mib = {mib}\n");
        fs::write(net.lab.home(0).join("config.toml"), settings).unwrap();
        net.lab.start(0).unwrap();
        net.lab.wait_ready(0, Duration::from_secs(60)).unwrap();
    };
    start_with(24);
    let folder = tempfile::tempdir().unwrap();
    let (small, large) = (folder.path().join("small"), folder.path().join("large"));
    random_file(&small, 10 * MIB, 1);
    random_file(&large, 20 * MIB, 2);
    let cid = net.put(0, "small", &small);
    let refused = net.run(0, &["object", "put", large.to_str().unwrap(), "large"]);
    assert_eq!(refused.status.code(), Some(6), "{}", stderr(&refused));
    let said = stderr(&refused);
    assert!(said.contains("its budget is 25165824 bytes"), "{said}");
    assert!(said.contains("raise store.max_mib"), "{said}");
    assert!(net.reads(0, &cid, &small));
    assert!(net.reads(0, "small", &small));
    let missing = net.run(0, &["object", "get", "large"]);
    assert_eq!(missing.status.code(), Some(4), "{}", stderr(&missing));
    // A node that knows nobody lets nothing go, and says why.
    let refused = net.run(0, &["gc"]);
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    let said = stderr(&refused);
    assert!(
        said.contains("does not know yet what it has to keep"),
        "{said}"
    );
    // With more room it goes in.
    start_with(60);
    let cid = net.put(0, "large", &large);
    assert!(net.reads(0, &cid, &large));
    assert!(net.reads(0, "small", &small));
}

/// What a node says of its upkeep.
fn upkeep(net: &Net, node: usize) -> Value {
    let output = net
        .lab
        .command(node, "curl")
        .unwrap()
        .args(["-sS", "--unix-socket"])
        .arg(net.lab.home(node).join("api.sock"))
        .arg("http://localhost/api/v1/upkeep")
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}{}",
            stderr(&output),
            String::from_utf8_lossy(&output.stdout)
        )
    })
}

#[test]
fn what_was_pruned_goes_from_all_nodes() {
    if !Lab::available_or_skip("what_was_pruned_goes_from_all_nodes") {
        return;
    }
    let nodes = Lab::builder().nodes(5);
    // Without caches: what somebody has read just now would be read from there.
    let flags = ["--store-grace-hours", "0", "--cache-max-mib", "0"];
    let net = Net::start_with(nodes, &flags);
    let all: Vec<usize> = (0..5).collect();
    net.until_settled(&all);
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    random_file(&old, 5 * MIB, 1);
    random_file(&new, 3 * MIB, 2);
    let kept = |node: usize| {
        let said = net.ok(node, &["gc"]);
        assert!(said.contains("let go   "), "{said}");
        count(&net.json(node, &["gc"]), "looked_bytes")
    };
    net.put(0, "a", &old);
    net.put(0, "a", &new);
    // Another key's, of the same content, and removed again: it is pruned as well. What nobody
    // needs goes at once here: who needs it has to have said so.
    net.put(1, "b", &old);
    net.ok(1, &["object", "rm", "b"]);
    net.until("the other has claimed what it needs", || {
        let status = upkeep(&net, 1);
        // The object is written before it is listed, and claimed no later.
        count(&status, "claims") > 0 && count(&status, "unclaimed") == 0
    });
    let dry = net.json(
        0,
        &["object", "prune", "a", "--keep-last", "1", "--dry-run"],
    );
    assert_eq!(count(&dry, "versions"), 1);
    assert_eq!(count(&dry, "bytes"), 5 * MIB);
    assert_eq!(count(&dry, "released"), 0);
    net.until("it is claimed, and released", || {
        let pruned = net.json(0, &["object", "prune", "a", "--keep-last", "1"]);
        count(&pruned, "versions") + count(&pruned, "released") > 0
    });
    let versions = net.ok(0, &["object", "versions", "a"]);
    assert_eq!(versions.matches("pruned").count(), 1, "{versions}");
    assert!(versions.ends_with("  pruned"), "{versions}");
    // The other needs it still, and reads it.
    assert!(net.reads(1, "b@v1", &old));
    net.until("copies are let go", || {
        all.iter().map(|node| kept(*node)).sum::<u64>() < 25 * MIB
    });
    assert!(net.reads(2, &format!("{}:b@v1", net.peer_id(1)), &old));
    assert!(net.reads(0, "a@v1", &old), "as long as somebody keeps it");
    net.ok(1, &["object", "prune", "--prefix", "", "--keep-for", "1ms"]);
    net.until("nobody has it", || {
        all.iter().map(|node| kept(*node)).sum::<u64>() < 10 * MIB
    });
    let (name, copy) = (
        format!("{}:a@v1", net.peer_id(0)),
        folder.path().join("copy"),
    );
    let gone = net.run(3, &["object", "get", &name, "-o", copy.to_str().unwrap()]);
    assert_eq!(gone.status.code(), Some(4), "{}", stderr(&gone));
    assert!(net.reads(3, &format!("{}:a", net.peer_id(0)), &new));
    // What was pruned is not looked for.
    let whole = net.ok(0, &["fsck"]);
    assert!(whole.contains("lost     0 blocks"), "{whole}");
    let restored = net.run(0, &["object", "restore", "a@v1"]);
    assert_eq!(restored.status.code(), Some(4), "{}", stderr(&restored));
}

#[test]
fn what_cannot_be_pruned_is_refused() {
    if !Lab::available_or_skip("what_cannot_be_pruned_is_refused") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    for (args, code, said) in [
        (&["a"][..], 2, "--keep-last"),
        (&["--keep-last", "1"], 2, "--prefix"),
        (&["a", "--keep-last", "0"], 2, "0 is not in"),
        (&["a", "--keep-for", "soon"], 2, "soon"),
        (&["a//b", "--keep-last", "1"], 2, "an empty part"),
        (&["a", "--keep-last", "1"], 4, "\"a\""),
    ] {
        let args = [&["object", "prune"], args].concat();
        let refused = net.run(0, &args);
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
    // Where no name begins so, there is nothing to do.
    let none = net.json(0, &["object", "prune", "--prefix", "x", "--keep-last", "1"]);
    assert_eq!(count(&none, "objects"), 0);
}

#[test]
fn what_is_no_pin_is_refused() {
    if !Lab::available_or_skip("what_is_no_pin_is_refused") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    for (args, code, said) in [
        (&["pin", "add", "no/such/name"][..], 4, "no/such/name"),
        (&["pin", "add", "a//b"], 2, "an empty part"),
        (&["pin", "rm", "no/such/name"], 4, "is not pinned"),
        (
            &[
                "pin",
                "rm",
                "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
            ],
            4,
            "is not pinned",
        ),
        (
            &[
                "pin",
                "add",
                "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
            ],
            5,
            "it is pinned, and tried again",
        ),
        (&["fsck", "a//b"], 2, "an empty part"),
        (&["fsck", "--here", "a"], 2, "cannot be used with"),
    ] {
        let refused = net.run(0, args);
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
    // What could not be got is pinned all the same, and said to be.
    let listed = net.json(0, &["pin", "ls"]);
    assert_eq!(listed[0]["state"], "failed");
    assert!(text(&listed[0]["reason"]).contains("not found"), "{listed}");
}

const WALK: &str = include_str!("../../../docs/guide/upkeep.md");

#[test]
fn the_walk_through_upkeep_works_as_written() {
    if !Lab::available_or_skip("the_walk_through_upkeep_works_as_written") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(4));
    net.until_settled(&[0, 1, 2, 3]);
    net.walk(
        0,
        WALK,
        "sh upkeep",
        &[
            "photos/cat.jpg@v1  whole  5 blocks, ",
            "can go   ",
            "pinned   5 blocks\n",
            "all of it is there\n",
            "would be pruned  2 versions of 1 names, ",
            "pruned  0 versions of 0 names, ",
            "pruned  2 versions of 1 names, ",
            "  pruned\n",
            "lost     0 blocks\n",
            "0 damaged\n",
        ],
    );
}
