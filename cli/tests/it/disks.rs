//! Disks that are full, and stores that are damaged.

use std::{fs, path::PathBuf, time::Duration};

use lab::Lab;

use crate::{
    net::{Net, random_file, same},
    support::stderr,
};

const MIB: u64 = 1 << 20;

#[test]
fn a_full_disk_fails_the_put_and_nothing_else() {
    if !Lab::available_or_skip("a_full_disk_fails_the_put_and_nothing_else") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1).disk(400 * MIB));
    let dir = tempfile::tempdir().unwrap();
    let early = dir.path().join("early");
    random_file(&early, 20 * MIB, 1);
    let cid = net.ok(0, &["object", "put", early.to_str().unwrap()]);
    net.ok(0, &["dht", "put", "motd", "tea at four"]);

    let large = dir.path().join("large");
    random_file(&large, 600 * MIB, 2);
    let output = net.run(0, &["object", "put", large.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("free some space"), "{said}");

    let check = || {
        let copy = dir.path().join("copy");
        net.ok(0, &["object", "get", &cid, "-o", copy.to_str().unwrap()]);
        assert!(same(&early, &copy));
        fs::remove_file(&copy).unwrap();
        assert_eq!(net.ok(0, &["dht", "get", "motd"]), "tea at four");
    };
    check();

    // Somebody else takes the rest, to the last byte: nothing can be put, all is readable,
    // and when there is room again it goes on without a restart.
    let ballast = net.lab.home(0).join("ballast");
    let fill = format!("cat /dev/zero > {}", ballast.display());
    assert!(
        !net.lab
            .output(0, "sh", ["-c", &fill])
            .unwrap()
            .status
            .success()
    );
    for args in [
        &["dht", "put", "motd", "too late"][..],
        &["object", "put", early.to_str().unwrap()],
    ] {
        let output = net.run(0, args);
        // What is kept already is put again without taking room.
        let code = output.status.code();
        assert!(
            code == Some(6) || code == Some(0),
            "{args:?}: {}",
            stderr(&output)
        );
    }
    check();
    let free = format!("rm {}", ballast.display());
    assert!(
        net.lab
            .output(0, "sh", ["-c", &free])
            .unwrap()
            .status
            .success()
    );
    net.ok(0, &["dht", "put", "later", "there is room again"]);
    assert_eq!(net.ok(0, &["dht", "get", "later"]), "there is room again");

    // The store is sound: the node stops, starts, and has it all.
    assert!(net.lab.stop(0).unwrap().success());
    net.lab.start(0).unwrap();
    net.lab.wait_ready(0, Duration::from_secs(60)).unwrap();
    check();
}

/// The files in which a node's block store keeps content, largest first.
fn content_files(net: &Net, node: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![net.lab.home(node).join("store/blocks")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .parent()
                .is_some_and(|parent| parent.ends_with("blobs"))
            {
                found.push(path);
            }
        }
    }
    found.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    assert!(!found.is_empty(), "the store keeps content in blob files");
    found
}

/// Flips a bit in the middle of every file.
fn rot(files: &[PathBuf]) {
    for file in files {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(file, bytes).unwrap();
    }
}

#[test]
fn rotten_blocks_are_found_and_got_again_from_replicas() {
    if !Lab::available_or_skip("rotten_blocks_are_found_and_got_again_from_replicas") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(3));
    net.until_settled(&[0, 1, 2]);
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    random_file(&original, 20 * MIB, 3);
    let cid = net.ok(0, &["object", "put", original.to_str().unwrap()]);
    assert!(net.lab.stop(2).unwrap().success());
    rot(&content_files(&net, 2));
    net.lab.start(2).unwrap();
    net.lab.wait_ready(2, Duration::from_secs(60)).unwrap();
    net.until_settled(&[0, 1, 2]);
    let copy = dir.path().join("copy");
    net.ok(2, &["object", "get", &cid, "-o", copy.to_str().unwrap()]);
    assert!(same(&original, &copy));
    assert!(net.lab.process(2).unwrap().tail(50).contains("corrupt"));

    // What was got again is kept: alone, the node has it all.
    fs::remove_file(&copy).unwrap();
    net.until("the copies are whole again", || {
        net.json(2, &["node", "status"])["blocks"] == 21
    });
    net.lab.kill(0).unwrap();
    net.lab.kill(1).unwrap();
    net.until_settled(&[2]);
    net.ok(2, &["object", "get", &cid, "-o", copy.to_str().unwrap()]);
    assert!(same(&original, &copy));
}

#[test]
fn a_rotten_block_without_replicas_is_named() {
    if !Lab::available_or_skip("a_rotten_block_without_replicas_is_named") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    let dir = tempfile::tempdir().unwrap();
    let (original, other) = (dir.path().join("original"), dir.path().join("other"));
    // Of the size from which on blocks are not in the journal.
    random_file(&original, MIB, 4);
    random_file(&other, MIB, 5);
    let cid = net.ok(0, &["object", "put", original.to_str().unwrap()]);
    assert!(net.lab.stop(0).unwrap().success());
    rot(&content_files(&net, 0));
    net.lab.start(0).unwrap();
    net.lab.wait_ready(0, Duration::from_secs(60)).unwrap();
    let output = net.run(0, &["object", "get", &cid, "-o", "-"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains(&cid) && said.contains("damaged"), "{said}");
    // The rest of the store works, and the block itself can be put again.
    net.ok(0, &["object", "put", other.to_str().unwrap()]);
    net.ok(0, &["object", "put", original.to_str().unwrap()]);
    let output = net.run(0, &["object", "get", &cid, "-o", "-"]);
    assert!(
        output.stdout == fs::read(&original).unwrap(),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_store_that_was_cut_off_is_named_and_comes_back_from_replicas() {
    if !Lab::available_or_skip("a_store_that_was_cut_off_is_named_and_comes_back_from_replicas") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(3));
    net.until_settled(&[0, 1, 2]);
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    random_file(&original, 20 * MIB, 6);
    let cid = net.ok(0, &["object", "put", original.to_str().unwrap()]);
    assert!(net.lab.stop(2).unwrap().success());
    // Half of the largest file is missing, as after a disk that lied about a sync.
    let victim = &content_files(&net, 2)[0];
    let length = fs::metadata(victim).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(victim).unwrap();
    file.set_len(length / 2).unwrap();

    let store = net.lab.home(2).join("store/blocks");
    let output = net.run(2, &["node", "start"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    let advice = format!("mv {0} {0}.damaged", store.display());
    assert!(said.contains("damaged") && said.contains(&advice), "{said}");

    // The advice helps: the copies come back, and the node has them when it is alone.
    let output = net.lab.output(2, "sh", ["-c", &advice]).unwrap();
    assert!(output.status.success());
    net.lab.start(2).unwrap();
    net.lab.wait_ready(2, Duration::from_secs(60)).unwrap();
    net.until("all copies are back", || {
        net.json(2, &["node", "status"])["blocks"] == 21
    });
    net.lab.kill(0).unwrap();
    net.lab.kill(1).unwrap();
    net.until_settled(&[2]);
    let copy = dir.path().join("copy");
    net.ok(2, &["object", "get", &cid, "-o", copy.to_str().unwrap()]);
    assert!(same(&original, &copy));
}
