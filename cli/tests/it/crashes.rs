//! `kill -9` while nodes write, and nodes that hang.

use std::{
    collections::BTreeMap,
    sync::{Mutex, mpsc},
    time::Duration,
};

use lab::Lab;
use nix::sys::signal::Signal;

use crate::{
    net::{Net, random_file},
    support::{HEDGEROW, stderr},
};

#[test]
fn what_was_acknowledged_outlives_kill_9_in_the_midst_of_writing() {
    if !Lab::available_or_skip("what_was_acknowledged_outlives_kill_9_in_the_midst_of_writing") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    let dir = tempfile::tempdir().unwrap();
    // Acknowledged: the CID and the number its content was made from.
    let acknowledged = Mutex::new(BTreeMap::new());
    for round in 0..3u64 {
        let (told, heard) = mpsc::channel();
        std::thread::scope(|scope| {
            for writer in 0..2u64 {
                let (net, told, acknowledged) = (&net, told.clone(), &acknowledged);
                let path = dir.path().join(format!("file-{writer}"));
                scope.spawn(move || {
                    // Until the node is gone. Sizes on both sides of a chunk's.
                    for number in (round * 1000 + writer)..u64::MAX {
                        let number = number * 2 + writer;
                        random_file(&path, 1000 + number % 7 * 300_000, number);
                        let output = net.run(0, &["object", "put", path.to_str().unwrap()]);
                        if !output.status.success() {
                            return;
                        }
                        let cid = String::from_utf8(output.stdout).unwrap();
                        let mut list = acknowledged.lock().unwrap();
                        list.insert(cid.trim().to_owned(), number);
                        // Once the test has seen enough it listens no more.
                        let _ = told.send(());
                    }
                });
            }
            for _ in 0..(5 + round * 4) {
                heard.recv().unwrap();
            }
            net.lab.kill(0).unwrap();
        });
        net.lab.start(0).unwrap();
        net.lab.wait_ready(0, Duration::from_secs(60)).unwrap();
        for (cid, number) in acknowledged.lock().unwrap().iter() {
            let original = dir.path().join("original");
            random_file(&original, 1000 + number % 7 * 300_000, *number);
            let output = net.run(0, &["object", "get", cid, "-o", "-"]);
            assert!(
                output.stdout == std::fs::read(&original).unwrap(),
                "round {round}, {cid}: {}",
                stderr(&output)
            );
        }
    }
    assert!(acknowledged.lock().unwrap().len() >= 5 + 9 + 13);
}

#[test]
fn a_node_that_hangs_holds_nobody_up() {
    if !Lab::available_or_skip("a_node_that_hangs_holds_nobody_up") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(4));
    net.until_settled(&[0, 1, 2, 3]);
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    random_file(&original, 8 << 20, 21);
    let cid = net.ok(0, &["object", "put", original.to_str().unwrap()]);
    let hung = net.lab.process(3).unwrap();
    hung.signal(Signal::SIGSTOP).unwrap();
    // It answers nothing, but its connections stand. What nobody has may be where nobody
    // answers: that is no "not found" until the others have given the node up. Who was
    // asked is named either way.
    let absent = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";
    let output = net.run(1, &["object", "get", absent, "-o", "-"]);
    let code = output.status.code();
    let said = stderr(&output);
    assert!(code == Some(4) || code == Some(5), "{code:?}: {said}");
    assert!(
        said.contains(absent) && said.contains("asked: 12D3"),
        "{said}"
    );
    // What others have is got all the same, and new things are put, in less time than a
    // person would take for hanging.
    let output = net.run(1, &["object", "get", &cid, "-o", "-", "--timeout", "30s"]);
    assert!(
        output.stdout == std::fs::read(&original).unwrap(),
        "{}",
        stderr(&output)
    );
    random_file(&original, 8 << 20, 22);
    let path = original.to_str().unwrap();
    net.ok(1, &["object", "put", path, "--timeout", "30s"]);
    hung.signal(Signal::SIGCONT).unwrap();
    net.until_settled(&[0, 1, 2, 3]);
}

#[test]
fn garbage_on_the_swarm_port_disturbs_nobody() {
    if !Lab::available_or_skip("garbage_on_the_swarm_port_disturbs_nobody") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(2));
    net.until_settled(&[0, 1]);
    let address = net.lab.ipv4(1, 0);
    // Noise instead of a handshake, on many connections at once, over TCP and UDP.
    let script = format!(
        "for i in $(seq 40); do head -c 200000 /dev/urandom > /dev/tcp/{address}/4747 & done 2>/dev/null; \
         for i in $(seq 200); do head -c 1200 /dev/urandom > /dev/udp/{address}/4747; done 2>/dev/null; wait; true"
    );
    let output = net.lab.output(0, "bash", ["-c", &script]).unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    net.ok(0, &["dht", "put", "still", "here"]);
    assert_eq!(net.ok(1, &["dht", "get", "still"]), "here");
    assert!(net.lab.process(1).unwrap().status().is_none());
    // A client that talks garbage to the control socket gets an error and nothing else.
    let socket = net.lab.home(1).join("api.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    std::io::Write::write_all(&mut stream, b"\x00\xff nonsense\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.contains("400"), "{answer}");
    assert!(
        net.lab
            .output(1, HEDGEROW, ["version"])
            .unwrap()
            .status
            .success()
    );
    assert_eq!(net.ok(1, &["dht", "get", "still"]), "here");
}
