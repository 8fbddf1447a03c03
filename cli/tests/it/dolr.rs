//! Objects found wherever they are, and messages to them, between real nodes.

use std::{path::Path, process::Command, time::Duration};

use lab::Lab;

use crate::{
    net::Net,
    support::{HEDGEROW, alone, stderr},
};

/// How long a message may take to be printed on a busy machine.
const READY: Duration = Duration::from_secs(30);

/// Who is found, in the order of their names.
fn holders(net: &Net, node: usize, args: &[&str]) -> Vec<String> {
    let located = net.json(node, args);
    let holders = located["holders"].as_array().unwrap().iter();
    let peer =
        |holder: &serde_json::Value| holder["contact"]["peer_id"].as_str().map(str::to_owned);
    let mut holders: Vec<String> = holders.filter_map(peer).collect();
    holders.sort();
    holders
}

/// `hedgerow dolr publish KEY --listen` beside a node, until it is killed.
fn listen(net: &Net, node: usize, key: &str) -> std::sync::Arc<lab::Process> {
    let label = format!("listen-{node}-{key}");
    net.spawn(node, &label, &["dolr", "publish", key, "--listen"])
}

#[test]
fn an_object_is_found_and_spoken_to_wherever_it_is() {
    if !Lab::available_or_skip("an_object_is_found_and_spoken_to_wherever_it_is") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(4));
    net.until_settled(&[0, 1, 2, 3]);
    let output = net.run(3, &["dolr", "locate", "printer"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));

    let published = net.json(1, &["dolr", "publish", "printer"]);
    assert_eq!(published["roots"], 5);
    assert_eq!(
        published["key"].as_str().unwrap(),
        guid::Guid::hash(b"printer").to_string()
    );
    for node in 0..4 {
        assert_eq!(
            holders(&net, node, &["dolr", "locate", "printer"]),
            [net.peer_id(1)]
        );
    }

    // It is there, but nobody listens.
    let output = net.run(2, &["dolr", "send", "printer", "hello"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("nobody listens there"),
        "{}",
        stderr(&output)
    );

    let listener = listen(&net, 1, "printer");
    net.until("the message is taken", || {
        let output = net.run(2, &["dolr", "send", "printer", "hello"]);
        output.status.success()
    });
    listener
        .wait_line("the message", READY, |line| line == "hello")
        .unwrap();

    // Two nodes have it now, and both are told.
    net.ok(0, &["dolr", "publish", "printer"]);
    let mut both = [net.peer_id(0), net.peer_id(1)];
    both.sort();
    assert_eq!(
        holders(&net, 3, &["dolr", "locate", "printer", "-n", "5"]),
        both
    );
    let second = listen(&net, 0, "printer");
    net.until("both take a message", || {
        let sent = net.json(3, &["dolr", "send", "printer", "to all", "-n", "2"]);
        let answers = sent["answers"].as_array().unwrap();
        answers.iter().all(|answer| answer["delivered"] == true) && answers.len() == 2
    });
    for listener in [&listener, &second] {
        listener
            .wait_line("the message", READY, |line| line == "to all")
            .unwrap();
    }

    // Taken back, it is found no more, and who listened is told.
    net.ok(1, &["dolr", "unpublish", "printer"]);
    assert_eq!(listener.wait_exit(READY).unwrap().code(), Some(5));
    assert_eq!(
        holders(&net, 3, &["dolr", "locate", "printer", "-n", "5"]),
        [net.peer_id(0)]
    );
    net.ok(0, &["dolr", "unpublish", "printer"]);
    let output = net.run(3, &["dolr", "locate", "printer"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let output = net.run(0, &["dolr", "unpublish", "printer"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
}

#[test]
fn who_only_listens_is_found_for_as_long_as_it_listens() {
    if !Lab::available_or_skip("who_only_listens_is_found_for_as_long_as_it_listens") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(3));
    net.until_settled(&[0, 1, 2]);
    let is_found = || net.run(0, &["dolr", "locate", "desk"]).status.code();
    let listener = listen(&net, 2, "desk");
    net.until("it is found", || is_found() == Some(0));
    listener.kill().unwrap();
    net.until("it is found no more", || is_found() == Some(4));

    // A holder that dies is passed over for one that lives.
    for node in [1, 2] {
        net.ok(node, &["dolr", "publish", "lamp"]);
    }
    let left = net.peer_id(1);
    net.lab.kill(2).unwrap();
    assert_eq!(holders(&net, 0, &["dolr", "locate", "lamp"]), [left]);
}

#[test]
fn mistakes_have_their_exit_codes() {
    let home = tempfile::tempdir().unwrap();
    for args in [
        &["dolr", "locate", "key", "-n", "0"][..],
        &["dolr", "locate", "key", "-n", "17"],
        &["dolr", "send", "key"],
    ] {
        let output = alone(home.path(), args);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            stderr(&output)
        );
    }
    for args in [
        &["dolr", "publish", "key", "--listen"][..],
        &["dolr", "publish", "key"],
        &["dolr", "send", "key", "hello"],
    ] {
        let output = alone(home.path(), args);
        assert_eq!(
            output.status.code(),
            Some(3),
            "{args:?}: {}",
            stderr(&output)
        );
    }
    let large = home.path().join("large");
    std::fs::write(&large, vec![b'x'; 64 * 1024 + 1]).unwrap();
    let output = with_stdin(home.path(), &large, &["dolr", "send", "key", "-"]);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
}

fn with_stdin(home: &Path, stdin: &Path, args: &[&str]) -> std::process::Output {
    let stdin = std::fs::File::open(stdin).unwrap();
    Command::new(HEDGEROW)
        .arg("--home")
        .arg(home)
        .args(args)
        .stdin(stdin)
        .output()
        .unwrap()
}
