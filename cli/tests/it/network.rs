//! Real nodes in namespaces of their own, used through `hedgerow`.

use std::fs;

use lab::Lab;

use crate::support::{HEDGEROW, READY, SETTLE, at, json, network, ok, stderr, until};

/// Bytes that do not repeat.
fn content(size: usize, seed: u64) -> Vec<u8> {
    use rand::Rng;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
    let mut bytes = vec![0; size];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

#[test]
fn nodes_find_each_other_and_share_a_file() {
    if !Lab::available_or_skip("nodes_find_each_other_and_share_a_file") {
        return;
    }
    let lab = network(Lab::builder(), 3);
    let ids: Vec<_> = (0..3)
        .map(|node| {
            json(&lab, node, &["node", "id"])["peer_id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let peers = json(&lab, 0, &["peers", "ls"]);
    for other in &ids[1..] {
        assert!(
            peers
                .as_array()
                .unwrap()
                .iter()
                .any(|peer| peer["peer_id"] == other.as_str())
        );
    }
    let pongs = json(&lab, 0, &["peers", "ping", &ids[1], "-c", "2"]);
    assert_eq!(pongs.as_array().unwrap().len(), 2);

    // Files of sizes around a chunk's, and none at all.
    let dir = tempfile::tempdir().unwrap();
    for (number, size) in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000]
        .iter()
        .enumerate()
    {
        let bytes = content(*size, number as u64);
        let from = dir.path().join(format!("from-{number}"));
        let to = dir.path().join(format!("to-{number}"));
        fs::write(&from, &bytes).unwrap();
        let put = json(&lab, 0, &["object", "put", from.to_str().unwrap()]);
        let cid = put["cid"].as_str().unwrap();
        assert_eq!(put["size"], *size);
        ok(&lab, 2, &["object", "get", cid, "-o", to.to_str().unwrap()]);
        assert!(
            fs::read(&to).unwrap() == bytes,
            "{size} bytes came back different"
        );
        assert_eq!(json(&lab, 1, &["object", "stat", cid])["size"], *size);
    }

    // A get that was broken off goes on where it stopped.
    let bytes = content(5_000_000, 5);
    let put = json(
        &lab,
        1,
        &["object", "put", dir.path().join("from-5").to_str().unwrap()],
    );
    let cid = put["cid"].as_str().unwrap();
    let resumed = dir.path().join("resumed");
    fs::write(dir.path().join(format!(".{cid}.part")), &bytes[..2 << 20]).unwrap();
    let got = json(
        &lab,
        2,
        &["object", "get", cid, "-o", resumed.to_str().unwrap()],
    );
    assert_eq!(got["kept"], 2 << 20);
    assert!(fs::read(&resumed).unwrap() == bytes);

    // A directory.
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("inner")).unwrap();
    fs::write(tree.join("a"), b"one").unwrap();
    fs::write(tree.join("inner/b"), b"two").unwrap();
    let put = json(&lab, 0, &["object", "put", tree.to_str().unwrap()]);
    let cid = put["cid"].as_str().unwrap();
    let listed = json(&lab, 1, &["object", "ls", cid]);
    assert_eq!(listed[0]["name"], "a");
    let copy = dir.path().join("copy");
    ok(
        &lab,
        2,
        &["object", "get", cid, "-o", copy.to_str().unwrap()],
    );
    assert_eq!(fs::read(copy.join("inner/b")).unwrap(), b"two");
    // What is there already is not overwritten.
    let again = at(
        &lab,
        2,
        &["object", "get", cid, "-o", copy.to_str().unwrap()],
    );
    assert_eq!(again.status.code(), Some(6), "{}", stderr(&again));

    // What nobody has: the block of the five bytes `hello`.
    let absent = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";
    let output = at(&lab, 0, &["object", "get", absent, "-o", "-"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("asked"));

    // An idle node is small.
    let status = json(&lab, 0, &["node", "status"]);
    let resident = status["resident_bytes"].as_u64().unwrap();
    assert!(resident < 60 << 20, "{resident} bytes resident");

    // A small value: put, got elsewhere, removed.
    ok(&lab, 0, &["dht", "put", "greeting", "hello"]);
    assert_eq!(ok(&lab, 2, &["dht", "get", "greeting"]), "hello");
    ok(&lab, 0, &["dht", "remove", "greeting"]);
    let output = at(&lab, 2, &["dht", "get", "greeting"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));

    // The way to a key ends at the node closest to it.
    let route = json(&lab, 0, &["overlay", "route", "greeting"]);
    let trace = json(&lab, 0, &["overlay", "trace", "greeting"]);
    let last = trace["hops"].as_array().unwrap().last().unwrap();
    assert_eq!(last["contact"]["guid"], route["closest"][0]["guid"]);
}

#[test]
fn a_file_outlives_the_node_it_was_put_at() {
    if !Lab::available_or_skip("a_file_outlives_the_node_it_was_put_at") {
        return;
    }
    let lab = network(Lab::builder(), 5);
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    let bytes = content(8 << 20, 7);
    fs::write(&from, &bytes).unwrap();
    let put = json(&lab, 0, &["object", "put", from.to_str().unwrap()]);
    let cid = put["cid"].as_str().unwrap();

    lab.kill(0).unwrap();
    let to = dir.path().join("to");
    until("the file is got from the others", SETTLE, || {
        at(&lab, 3, &["object", "get", cid, "-o", to.to_str().unwrap()])
            .status
            .success()
    });
    assert!(fs::read(&to).unwrap() == bytes);

    // The killed node starts again in its home, with its identity.
    lab.start(0).unwrap();
    lab.wait_ready(0, READY).unwrap();
    let output = at(&lab, 0, &["object", "get", cid, "-o", "-"]);
    assert!(output.stdout == bytes, "{}", stderr(&output));
}

#[test]
fn the_doors_are_guarded_and_the_stop_is_clean() {
    if !Lab::available_or_skip("the_doors_are_guarded_and_the_stop_is_clean") {
        return;
    }
    let lab = network(Lab::builder(), 1);
    let token = fs::read_to_string(lab.home(0).join("api.token")).unwrap();
    let token = token.trim();
    let status = |headers: &str| {
        let request =
            format!("GET /api/v1/node HTTP/1.1\\r\\nConnection: close\\r\\n{headers}\\r\\n\\r\\n");
        let script =
            format!("exec 3<>/dev/tcp/127.0.0.1/4748; printf '{request}' >&3; head -1 <&3");
        let output = lab.output(0, "bash", ["-c", &script]).unwrap();
        String::from_utf8_lossy(&output.stdout)
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    let host = "Host: 127.0.0.1:4748";
    let bearer = format!("Authorization: Bearer {token}");
    assert_eq!(status(&format!("{host}\\r\\n{bearer}")), "200");
    assert_eq!(status(host), "401");
    assert_eq!(
        status(&format!("{host}\\r\\nAuthorization: Bearer wrong")),
        "401"
    );
    assert_eq!(status(&format!("Host: evil.example\\r\\n{bearer}")), "403");
    assert_eq!(
        status(&format!(
            "{host}\\r\\n{bearer}\\r\\nOrigin: http://evil.example"
        )),
        "403"
    );

    // A second node in the same home, and one on the same ports.
    let home = lab.home(0).to_str().unwrap();
    let second = lab
        .output(0, HEDGEROW, ["--home", home, "node", "start"])
        .unwrap();
    assert_eq!(second.status.code(), Some(6), "{}", stderr(&second));
    let other = tempfile::tempdir().unwrap();
    let other = other.path().to_str().unwrap();
    let second = lab
        .output(0, HEDGEROW, ["--home", other, "node", "start"])
        .unwrap();
    assert_eq!(second.status.code(), Some(6), "{}", stderr(&second));
    assert!(stderr(&second).contains("4747") && stderr(&second).contains("--listen-port"));

    ok(&lab, 0, &["node", "stop"]);
    assert!(lab.process(0).unwrap().wait_exit(READY).unwrap().success());
    assert!(!lab.home(0).join("api.sock").exists());
    assert_eq!(at(&lab, 0, &["peers", "ls"]).status.code(), Some(3));

    // SIGTERM ends it as cleanly, and the identity is the same.
    lab.start(0).unwrap();
    lab.wait_ready(0, READY).unwrap();
    assert!(lab.stop(0).unwrap().success());
    assert!(!lab.home(0).join("api.sock").exists());
}
