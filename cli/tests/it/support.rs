//! Running `hedgerow` and reading what it said.

use std::{
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use lab::Lab;

/// The program under test.
pub(crate) const HEDGEROW: &str = env!("CARGO_BIN_EXE_hedgerow");

/// How long a node may take to start and join on a busy machine.
pub(crate) const READY: Duration = Duration::from_secs(30);

/// How long the network may take to notice what happened.
pub(crate) const SETTLE: Duration = Duration::from_secs(60);

/// Runs `hedgerow` on this machine, without a node, in `home`.
pub(crate) fn alone(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(HEDGEROW);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEDGEROW_")) {
        command.env_remove(name);
    }
    command.arg("--home").arg(home).args(args).output().unwrap()
}

/// Runs `hedgerow` beside a node of the lab.
pub(crate) fn at(lab: &Lab, node: usize, args: &[&str]) -> Output {
    let home = lab.home(node).to_str().unwrap().to_owned();
    let all = ["--home", &home].into_iter().chain(args.iter().copied());
    lab.output(node, HEDGEROW, all).unwrap()
}

/// The same, which must succeed; its stdout.
pub(crate) fn ok(lab: &Lab, node: usize, args: &[&str]) -> String {
    let output = at(lab, node, args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The same as JSON.
pub(crate) fn json(lab: &Lab, node: usize, args: &[&str]) -> serde_json::Value {
    let args: Vec<_> = ["--json"].into_iter().chain(args.iter().copied()).collect();
    serde_json::from_str(&ok(lab, node, &args)).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asks again until `done`; fails when that takes too long.
pub(crate) fn until(what: &str, within: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Nodes on one bridge, all ready and each in the others' sight.
pub(crate) fn network(builder: lab::Builder, nodes: usize) -> Lab {
    let lab = builder
        .nodes(nodes)
        .binary(HEDGEROW)
        .args(["node", "start", "--home", "{home}"])
        .build()
        .unwrap();
    lab.start_all().unwrap();
    for node in 0..nodes {
        lab.wait_ready(node, READY).unwrap();
    }
    for node in 0..nodes {
        until("all are neighbours", SETTLE, || {
            json(&lab, node, &["node", "status"])["leaf_set"] == nodes - 1
        });
    }
    lab
}
