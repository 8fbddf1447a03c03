//! The plans as a user runs them: real nodes, the built programs, the folder of plans.

#![allow(clippy::unwrap_used, reason = "the helpers of tests panic like tests")]

mod faults;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lab::Lab;

/// The program that `testground run` starts; the others are built beside it.
const PLANS: &str = env!("CARGO_BIN_EXE_plans");

/// A program beside [`PLANS`]. Cargo builds the programs of other packages where those are
/// tested or built too; where they are not, there is nothing to run, which `LAB_REQUIRED`
/// makes a failure.
fn beside(name: &str, test: &str) -> Option<PathBuf> {
    let path = Path::new(PLANS).with_file_name(name);
    if path.is_file() {
        return Some(path);
    }
    let reason = format!(
        "{test} needs {}: cargo build -p cli -p testground",
        path.display()
    );
    assert!(std::env::var_os("LAB_REQUIRED").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
    None
}

/// Runs a plan; how it ended and what was said. `None` where it cannot be run here.
fn run(test: &str, hedgerow: Option<&Path>, out: &Path, args: &[&str]) -> Option<(Output, String)> {
    let testground = beside("testground", test)?;
    let built = beside("hedgerow", test)?;
    let output = Command::new(testground)
        .arg("run")
        .args(args)
        .arg("--out")
        .arg(out)
        .arg("--plans")
        .arg(env!("CARGO_MANIFEST_DIR"))
        .env("HEDGEROW", hedgerow.unwrap_or(&built))
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Some((output, said))
}

#[test]
fn discovery_passes_where_packets_are_late_and_lost() {
    let test = "discovery_passes_where_packets_are_late_and_lost";
    if !Lab::available_or_skip(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec!["discovery", "--nodes", "3", "--set", "within=60s"];
    args.extend(["--latency", "20ms", "--jitter", "5ms", "--loss", "2"]);
    let Some((output, said)) = run(test, None, folder.path(), &args) else {
        return;
    };
    assert!(output.status.success(), "{said}");
}

#[test]
fn discovery_passes_with_three_nodes() {
    let test = "discovery_passes_with_three_nodes";
    if !Lab::available_or_skip(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let args = ["discovery", "--nodes", "3", "--set", "within=60s"];
    let Some((output, said)) = run(test, None, folder.path(), &args) else {
        return;
    };
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("passed  discovery lan  3 instances"),
        "{said}"
    );
    let case = folder.path().join("discovery/lan");
    let verdict: serde_json::Value =
        serde_json::from_slice(&std::fs::read(case.join("verdict.json")).unwrap()).unwrap();
    assert_eq!(verdict["instances"].as_array().unwrap().len(), 3);
    for instance in 0..3 {
        let outputs = case.join("single").join(instance.to_string());
        let log = std::fs::read_to_string(outputs.join("node.log")).unwrap();
        assert!(
            log.contains("READY=1") && log.contains("STOPPING=1"),
            "{log}"
        );
    }
}

/// Runs a case of `hole-punch`; its parameters beside it.
fn punch(test: &str, case: &str, set: &[&str]) {
    if !Lab::available_or_skip(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec!["hole-punch", case];
    args.extend(set.iter().flat_map(|set| ["--set", set]));
    let Some((output, said)) = run(test, None, folder.path(), &args) else {
        return;
    };
    assert!(output.status.success(), "{said}");
}

#[test]
fn nodes_behind_nats_that_can_be_punched_are_connected_directly() {
    let test = "nodes_behind_nats_that_can_be_punched_are_connected_directly";
    for transport in ["tcp", "quic"] {
        punch(
            test,
            "cone",
            &[&format!("transport={transport}"), "objects=1"],
        );
    }
}

#[test]
fn nodes_behind_nats_that_cannot_be_punched_are_connected_all_the_same() {
    let test = "nodes_behind_nats_that_cannot_be_punched_are_connected_all_the_same";
    punch(test, "symmetric", &["objects=1", "named=false"]);
}

/// `hedgerow`, but what is got from the network is not what was put.
const LIAR: &str = r#"#!/bin/bash
case " $* " in
*" object get "*) ;;
*) exec REAL "$@" ;;
esac
REAL "$@" || exit
while [ "$1" != -o ]; do shift; done
echo lies >> "$2"
"#;

#[test]
fn a_program_that_gets_other_bytes_than_were_put_fails_the_plan() {
    let test = "a_program_that_gets_other_bytes_than_were_put_fails_the_plan";
    if !Lab::available_or_skip(test) {
        return;
    }
    let Some(hedgerow) = beside("hedgerow", test) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let liar = folder.path().join("liar.sh");
    std::fs::write(&liar, LIAR.replace("REAL", hedgerow.to_str().unwrap())).unwrap();
    std::fs::set_permissions(&liar, std::fs::Permissions::from_mode(0o755)).unwrap();
    let args = ["kill-third", "--nodes", "4", "--set", "objects=1"];
    let Some((output, said)) = run(test, Some(&liar), folder.path(), &args) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("H1: instance "), "{said}");
    // It says so of what really was put and got.
    assert!(said.contains("4 puts acknowledged"), "{said}");
}

#[test]
fn outside_of_a_run_it_says_what_is_missing() {
    let output = Command::new(PLANS).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("is started by `testground run`"), "{said}");
}

#[test]
fn every_plan_has_a_manifest_that_can_be_run_as_it_is_and_a_page() {
    let plans = testground::plans::all(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let names: Vec<&str> = plans.iter().map(|plan| plan.manifest.name()).collect();
    assert_eq!(
        names,
        [
            "bulk",
            "churn",
            "discovery",
            "flood",
            "followers",
            "full-disk",
            "hole-punch",
            "kill-third",
            "many",
            "partition-heal",
            "rolling-restart",
            "slow-node",
            "two-lans",
            "web-cache"
        ]
    );
    for plan in plans {
        assert_eq!(plan.manifest.program(), Some("plans"));
        let page = std::fs::read_to_string(plan.folder.join("README.md")).unwrap();
        for case in &plan.manifest.testcases {
            case.params_with(&Default::default()).unwrap();
            assert!(page.contains(&format!("| `{}` |", case.name())), "{page}");
        }
    }
}
