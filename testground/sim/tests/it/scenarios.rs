//! The scenarios of `testground/sim/scenarios`, and what is refused.

use std::path::Path;

use sim::scenario::{Report, Scenario, run};

fn read(name: &str) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scenarios")
        .join(name);
    Scenario::read(&file).expect("a scenario")
}

fn good(name: &str) -> Report {
    let report = run(&read(name), None).expect("it runs");
    println!("{report}");
    assert!(report.is_good(), "{report}");
    report
}

#[test]
fn two_overlays_that_meet_become_one() {
    good("merge.toml");
}

#[test]
fn a_network_that_was_cut_becomes_one_again() {
    good("partition.toml");
}

#[test]
fn everyone_may_restart_at_once() {
    good("restart.toml");
}

#[test]
fn half_of_all_nodes_may_die_at_once() {
    good("half.toml");
}

#[test]
fn a_leaf_sets_half_may_die_at_once() {
    good("arc.toml");
}

#[test]
fn churn_makes_nobody_deliver_what_is_not_its() {
    let report = good("churn.toml");
    assert!(report.started > 20 && report.gone > 20, "{report}");
    assert!(report.wrong == 0.0 && report.lost < 0.01, "{report}");
}

#[test]
fn loss_makes_nobody_deliver_what_is_not_its() {
    let report = good("loss.toml");
    assert!(report.wrong == 0.0 && report.lost < 0.01, "{report}");
}

#[test]
fn bad_nodes_leave_no_trace_once_they_keep_to_the_rules() {
    let report = good("bad.toml");
    assert!(report.wrong == 0.0, "{report}");
}

#[test]
fn objects_are_found_while_nodes_come_and_go() {
    let report = good("objects.toml");
    assert!(report.gone > 10 && report.errands > 500, "{report}");
    assert!(report.errands_lost < 0.001, "{report}");
}

#[test]
fn a_scenario_is_run_twice_and_is_the_same() {
    let (one, other) = (run(&read("loss.toml"), None), run(&read("loss.toml"), None));
    assert_eq!(one.expect("it runs").digest, other.expect("it runs").digest);
}

/// The line named for a scenario that is refused.
fn refused(text: &str) -> String {
    let error = Scenario::parse(Path::new("bad.toml"), text).expect_err("it is refused");
    let text = error.to_string();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    format!("{text} {}", source.unwrap_or_default())
}

#[test]
fn what_cannot_be_is_refused_with_its_line_before_anything_runs() {
    let good = "title = 'x'\nnodes = 10\nlasts = '1s'\n";
    assert!(Scenario::parse(Path::new("good.toml"), good).is_ok());
    for (text, line, reason) in [
        (
            "title = 'x'\nnodes = 10\nlasts = '1s'\nspeed = 3\n",
            "line 4",
            "speed",
        ),
        (
            "title = 'x'\nnodes = 0\nlasts = '1s'\n",
            "line 2",
            "nodes is 0",
        ),
        (
            "title = 'x'\nnodes = 10000000000\nlasts = '1s'\n",
            "line 2",
            "MiB are free",
        ),
        (
            "title = 'x'\nnodes = 10\nlasts = '1s'\npublish = 40961\n",
            "line 4",
            "10 nodes publish 40960 at most",
        ),
        (
            "title = 'x'\nnodes = 100000\nlasts = '1s'\npublish = 400000000\n",
            "line 4",
            "MiB are free",
        ),
        (
            "title = 'x'\nnodes = 10\nlasts = 'soon'\n",
            "line 3",
            "soon",
        ),
        (
            "title = 'x'\nnodes = 10\nlasts = '1s'\n[overlay]\nleaf_set = 3\n",
            "line 5",
            "leaf_set is 3",
        ),
        (
            "title = 'x'\nnodes = 10\nlasts = '1s'\n[[fault]]\nkind = 'crash'\nat = '1s'\nshare = 1.5\n",
            "line 7",
            "share is 1.5",
        ),
        (
            "title = 'x'\nnodes = 10\nlasts = '1s'\n[[fault]]\nkind = 'flood'\nat = '1s'\n",
            "line 5",
            "flood",
        ),
    ] {
        let said = refused(text);
        assert!(said.contains(line) && said.contains(reason), "{said}");
    }
}
