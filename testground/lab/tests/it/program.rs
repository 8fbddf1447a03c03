//! The program `lab`, used as its page says.

use std::io::Write;
use std::process::{Command, Stdio};

use lab::Lab;

use crate::PROBE;

#[test]
fn a_person_plays_with_nodes() {
    if !Lab::available_or_skip("a_person_plays_with_nodes") {
        return;
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["--nodes", "3", "--binary", PROBE, "--", "serve"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let typed = "list\nexec 1 ip -brief address show dev eth0\nexec 1 echo $HOME_DIR\n\
                 kill 2\nlist\nstart 2\ndetach 0\nattach 0\nstop 1\nlog 2\nkill 9\nfly\nquit\n";
    child
        .stdin
        .take()
        .unwrap()
        .write_all(typed.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{stderr}");
    for expected in [
        "3 nodes ready",
        "10.77.0.2/24",
        "/home-1",
        "signal: 9",
        "no node 9: they are 0 to 2",
        "exec NODE COMMAND",
    ] {
        assert!(said.contains(expected), "{expected}:\n{said}\n{stderr}");
    }
}

#[test]
fn a_person_plays_with_a_bad_network() {
    if !Lab::available_or_skip("a_person_plays_with_a_bad_network") {
        return;
    }
    let run = |more: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["--nodes", "2", "--binary", PROBE])
            .args(more)
            .args(["--", "serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let typed = format!("exec 0 {PROBE} udp 10.77.0.2\nstats\nquit\n");
        // One that refused its arguments reads nothing.
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = run(&["--latency", "5"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("ping") && said.contains("\"delivered\""),
        "{said}"
    );

    let output = run(&["--loss", "100"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("exit status: 1"),
        "no datagram arrives: {said}"
    );

    let output = run(&["--loss", "101"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("loss is 1.01: a share is from 0 to 1"),
        "{said}"
    );

    let output = run(&[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("only a switched lab"), "{said}");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["--binary", "/no/such/program"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("/no/such/program") || stderr.contains("no lab on this machine"),
        "{stderr}"
    );
}
