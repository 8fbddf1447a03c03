//! Plans in which things go wrong: short versions of them, and programs that do not stand it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lab::Lab;
use serde_json::Value;

use crate::{beside, run};

/// A run of a plan with its own faults.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Case {
        let folder = tempfile::tempdir().unwrap();
        Case { folder }
    }

    /// Runs a plan; whether it passed, and what was said. `None` where it cannot be run here.
    fn run(
        &self,
        test: &str,
        hedgerow: Option<&Path>,
        args: &[&str],
        faults: &str,
    ) -> Option<(bool, String)> {
        if !Lab::available_or_skip(test) {
            return None;
        }
        let list = self.folder.path().join("faults.toml");
        std::fs::write(&list, faults).unwrap();
        let list = list.to_string_lossy();
        let mut all = args.to_vec();
        all.extend(["--faults", &list, "--set", "pace=300ms"]);
        let (output, said) = run(test, hedgerow, &self.out(), &all)?;
        Some((output.status.success(), said))
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn verdict(&self, case: &str) -> Value {
        let path = self.out().join(case).join("verdict.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The program `hedgerow`, changed: a shell script in which `REAL` is the true one.
    fn wrapped(&self, test: &str, script: &str) -> Option<PathBuf> {
        let hedgerow = beside("hedgerow", test)?;
        let path = self.folder.path().join("wrapped.sh");
        std::fs::write(&path, script.replace("REAL", hedgerow.to_str().unwrap())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Some(path)
    }
}

#[test]
fn both_sides_of_a_partition_go_on_and_become_one() {
    let case = Case::new();
    let faults =
        "end = \"42s\"\n[[fault]]\nkind = \"partition\"\nat = \"1s\"\nfor = \"40s\"\nvictims = 2\n";
    let test = "both_sides_of_a_partition_go_on_and_become_one";
    let args = ["partition-heal", "halves", "--nodes", "4"];
    let Some((passed, said)) = case.run(test, None, &args, faults) else {
        return;
    };
    assert!(passed, "{said}");
    assert!(
        said.contains("faults: 1 partition; all have ended"),
        "{said}"
    );
    let verdict = case.verdict("partition-heal/halves");
    let fault = &verdict["faults"][0];
    assert!(fault["began"].as_u64() < fault["ended"].as_u64(), "{fault}");
    // Something was sent to the other side, and did not arrive.
    assert!(verdict["switch"]["blocked"].as_u64() > Some(0), "{verdict}");
    let page = case.out().join("partition-heal/halves/report.html");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("begins: partition") && page.contains("ends: partition"));
}

#[test]
fn who_follows_is_told_of_the_newest_when_a_partition_is_over() {
    let case = Case::new();
    let faults =
        "end = \"32s\"\n[[fault]]\nkind = \"partition\"\nat = \"1s\"\nfor = \"30s\"\nvictims = 2\n";
    let test = "who_follows_is_told_of_the_newest_when_a_partition_is_over";
    let args = ["followers", "partition", "--nodes", "4"];
    let Some((passed, said)) = case.run(test, None, &args, faults) else {
        return;
    };
    assert!(passed, "{said}");
}

#[test]
fn a_node_that_stands_still_stops_nobody() {
    let case = Case::new();
    let faults =
        "end = \"9s\"\n[[fault]]\nkind = \"stop\"\nat = \"1s\"\nfor = \"7s\"\nvictims = 1\n";
    let test = "a_node_that_stands_still_stops_nobody";
    let Some((passed, said)) = case.run(test, None, &["slow-node", "--nodes", "4"], faults) else {
        return;
    };
    assert!(passed, "{said}");
}

/// Two nodes are killed, one after the other, while all fetch.
const WEB_KILLS: &str = "end = \"9s\"\n\
    [[fault]]\nkind = \"kill\"\nat = \"2s\"\nfor = \"2s\"\nvictims = [0]\n\
    [[fault]]\nkind = \"kill\"\nat = \"5s\"\nfor = \"2s\"\nvictims = [1]\n";

#[test]
fn the_shared_web_cache_is_right_and_shared_while_nodes_are_killed() {
    for scheme in ["home-store", "directory"] {
        let case = Case::new();
        let test =
            format!("the_shared_web_cache_is_right_and_shared_while_nodes_are_killed {scheme}");
        let args = ["web-cache", scheme, "--nodes", "4", "--set", "pages=30"];
        let Some((passed, said)) = case.run(&test, None, &args, WEB_KILLS) else {
            return;
        };
        assert!(passed, "{said}");
    }
}

/// A node whose cache is its own alone.
const LONER: &str = r#"#!/bin/bash
exec REAL "${@/#all/none}"
"#;

#[test]
fn caches_that_are_not_shared_fail_the_plan() {
    let case = Case::new();
    let test = "caches_that_are_not_shared_fail_the_plan";
    let Some(loner) = case.wrapped(test, LONER) else {
        return;
    };
    let args = [
        "web-cache",
        "home-store",
        "--nodes",
        "4",
        "--set",
        "pages=30",
    ];
    let Some((passed, said)) = case.run(test, Some(&loner), &args, WEB_KILLS) else {
        return;
    };
    assert!(!passed, "{said}");
    assert!(said.contains("the caches are not shared"), "{said}");
}

/// A node that, started again, asks no origin and gives what it has, however old.
const STALE: &str = r#"#!/bin/bash
case " $* " in
*" node start "*)
    [ -e "$2/started" ] && set -- "$@" --webcache-offline true
    mkdir -p "$2"
    touch "$2/started" ;;
esac
exec REAL "$@"
"#;

#[test]
fn a_web_cache_that_gives_stale_answers_fails_the_plan() {
    let case = Case::new();
    let test = "a_web_cache_that_gives_stale_answers_fails_the_plan";
    let Some(stale) = case.wrapped(test, STALE) else {
        return;
    };
    // Few pages, so that each is in the store before its node is killed.
    let set = ["pages=3", "lasts=2s", "fresh=2s"].map(|set| ["--set", set]);
    let args = [
        &["web-cache", "home-store", "--nodes", "3"],
        set.as_flattened(),
    ]
    .concat();
    let faults = WEB_KILLS.replace("at = \"2s\"", "at = \"8s\"");
    let faults = faults.replace("at = \"5s\"", "at = \"11s\"");
    let faults = faults.replace("end = \"9s\"", "end = \"30s\"");
    let Some((passed, said)) = case.run(test, Some(&stale), &args, &faults) else {
        return;
    };
    assert!(!passed, "{said}");
    assert!(said.contains("after it was stale"), "{said}");
}

/// Every node is killed at once. That they are started again is the end of it: how nodes that are back
/// answer before the ring is whole is what the long version looks at.
const KILLS: &str = "end = \"2500ms\"\n\
    [[fault]]\nkind = \"kill\"\nat = \"2s\"\nvictims = \"all\"\n";

/// Keeps nothing over a restart.
const FORGETFUL: &str = r#"#!/bin/bash
case " $* " in
*" node start "*) rm -rf "$2/store" ;;
esac
exec REAL "$@"
"#;

#[test]
fn what_was_acknowledged_outlives_the_end_of_all_nodes_at_once() {
    let case = Case::new();
    let test = "what_was_acknowledged_outlives_the_end_of_all_nodes_at_once";
    let args = ["churn", "--nodes", "4"];
    let Some((passed, said)) = case.run(test, None, &args, KILLS) else {
        return;
    };
    assert!(passed, "{said}");
}

#[test]
fn a_program_that_forgets_fails_the_plan() {
    let case = Case::new();
    let test = "a_program_that_forgets_fails_the_plan";
    let Some(forgetful) = case.wrapped(test, FORGETFUL) else {
        return;
    };
    let args = ["churn", "--nodes", "4"];
    let Some((passed, said)) = case.run(test, Some(&forgetful), &args, KILLS) else {
        return;
    };
    assert!(!passed, "{said}");
    assert!(
        said.contains("H4: instance ") || said.contains("H3: instance "),
        "{said}"
    );
}

/// The disk of one node is full for a while.
const FULL: &str = "end = \"8s\"\ndisk = \"256MiB\"\n\
    [[fault]]\nkind = \"fill\"\nat = \"1s\"\nfor = \"5s\"\nvictims = 1\n";

/// Ends when there is no room left.
const QUITTER: &str = r#"#!/bin/bash
case " $* " in
*" node start "*) ;;
*) exec REAL "$@" ;;
esac
REAL "$@" &
node=$!
while kill -0 $node 2>/dev/null; do
    read -r left < <(df --output=avail "$2" 2>/dev/null | tail -n 1)
    [ "$left" = 0 ] && kill -KILL $node
    sleep 0.1
done
wait $node
"#;

#[test]
fn a_node_with_a_full_disk_stays_and_stores_again_when_it_can() {
    let case = Case::new();
    let test = "a_node_with_a_full_disk_stays_and_stores_again_when_it_can";
    let Some((passed, said)) = case.run(test, None, &["full-disk", "--nodes", "4"], FULL) else {
        return;
    };
    assert!(passed, "{said}");
}

#[test]
fn a_program_that_ends_when_its_disk_is_full_fails_the_plan() {
    let case = Case::new();
    let test = "a_program_that_ends_when_its_disk_is_full_fails_the_plan";
    let Some(quitter) = case.wrapped(test, QUITTER) else {
        return;
    };
    let args = ["full-disk", "--nodes", "4"];
    let Some((passed, said)) = case.run(test, Some(&quitter), &args, FULL) else {
        return;
    };
    assert!(!passed, "{said}");
    assert!(said.contains("the node ended by itself"), "{said}");
}

#[test]
fn a_bad_peer_stops_nobody() {
    for case in ["garbage", "streams"] {
        let test = format!("a_bad_peer_stops_nobody {case}");
        let Some((passed, said)) = flood(&test, case, &[]) else {
            return;
        };
        assert!(passed, "{said}");
    }
}

#[test]
fn a_node_that_grows_beyond_what_is_allowed_fails_the_plan() {
    let test = "a_node_that_grows_beyond_what_is_allowed_fails_the_plan";
    let Some((passed, said)) = flood(test, "streams", &["--set", "memory_mib=1"]) else {
        return;
    };
    assert!(!passed, "{said}");
    assert!(said.contains("1 were to be the most"), "{said}");
}

/// A short flood; whether it passed, and what was said. `None` where it cannot be run here.
fn flood(test: &str, case: &str, more: &[&str]) -> Option<(bool, String)> {
    if !Lab::available_or_skip(test) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "flood",
        case,
        "--nodes",
        "5",
        "--set",
        "lasts=6s",
        "--set",
        "pace=300ms",
    ];
    let (output, said) = run(test, None, folder.path(), &[&args[..], more].concat())?;
    Some((output.status.success(), said))
}
