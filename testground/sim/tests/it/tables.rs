//! Small versions of the tables.

use sim::report::{Table, plot};
use sim::tables::{Name, Options, make};

pub(crate) fn small(name: Name, options: &Options) -> Table {
    let table = make(name, options).expect("the table is made");
    let text = table.to_string();
    assert!(text.contains(&table.command), "{text}");
    for figure in &table.figures {
        assert!(figure.mean.is_finite(), "{text}");
        assert_eq!(figure.values.len(), options.seeds.len());
    }
    table
}

pub(crate) fn mean(table: &Table, label: &str) -> f64 {
    let figure = table.figures.iter().find(|figure| figure.label == label);
    figure
        .unwrap_or_else(|| panic!("no '{label}' in\n{table}"))
        .mean
}

#[test]
fn networks_that_grew_once_give_hops_shares_stretch_and_join_costs() {
    let options = Options::new(vec![1, 2], true);
    let hops = small(Name::Hops, &options);
    // Half a percent for what 5,000 lookups leave to chance.
    assert!(mean(&hops, "hops, 1000 nodes") < 2.485 * 1.005, "{hops}");
    assert!(
        plot(&hops)
            .expect("a plot")
            .expect("an axis")
            .contains("</svg>")
    );
    let shares = small(Name::Distribution, &options);
    let sum: f64 = shares.figures.iter().map(|figure| figure.mean).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{shares}");
    let stretch = small(Name::Stretch, &options);
    assert!(
        mean(&stretch, "over complete tables, 1000 nodes") < 1.1,
        "{stretch}"
    );
    let cost = small(Name::JoinCost, &options);
    assert!(mean(&cost, "messages a join, 1000 nodes") > 50.0, "{cost}");
}

#[test]
fn entries_are_near_though_nobody_says_who_is() {
    let table = small(Name::Quality, &Options::new(vec![1], true));
    assert!(
        mean(&table, "row 0 optimal, joined by the nearest") > 13.0,
        "{table}"
    );
    assert!(
        mean(&table, "row 0 optimal, joined by anyone") > 11.0,
        "{table}"
    );
    assert!(
        mean(&table, "row 0 empty though somebody fits, joined by anyone") < 0.1,
        "{table}"
    );
}

#[test]
fn the_heuristic_finds_nearer_replicas() {
    let table = small(Name::Replicas, &Options::new(vec![1], true));
    for network in ["b=3 L=8 M=16", "ours, b=4 L=16 M=32"] {
        let of = |rule: &str| mean(&table, &format!("{network}: {rule}, the nearest"));
        assert!(of("heuristic") > of("standard") + 10.0, "{table}");
        assert!(of("heuristic, delivered") > of("standard"), "{table}");
        let hops = |rule: &str| mean(&table, &format!("{network}: {rule}, hops"));
        assert!(
            hops("heuristic, delivered") < hops("standard") + 1.0,
            "{table}"
        );
    }
}

#[test]
fn the_simulator_measures_itself() {
    let table = small(Name::Size, &Options::new(vec![1], true));
    assert!(
        (mean(&table, "share of lookups ended") - 1.0).abs() < f64::EPSILON,
        "{table}"
    );
}

#[test]
fn failures_churn_and_healing_are_measured() {
    let options = Options::new(vec![1], true);
    let failures = small(Name::Failures, &options);
    assert!(
        mean(&failures, "wrong deliveries repaired") == 0.0,
        "{failures}"
    );
    assert!(
        mean(&failures, "lookups lost repaired") == 0.0,
        "{failures}"
    );
    let churn = small(Name::Churn, &options);
    assert!(
        mean(&churn, "wrong deliveries, gnutella 138 min") == 0.0,
        "{churn}"
    );
    let sessions = small(Name::ChurnSessions, &options);
    assert!(
        mean(&sessions, "wrong deliveries, exponential 30 min") == 0.0,
        "{sessions}"
    );
    let healing = small(Name::Healing, &options);
    for what in [
        "two overlays meet",
        "two overlays meet",
        "a third was cut off",
        "everyone restarts",
        "half of all die",
    ] {
        let label = format!("{what}: share of runs whole in time");
        assert!(
            (mean(&healing, &label) - 1.0).abs() < f64::EPSILON,
            "{healing}"
        );
    }
}

#[test]
fn the_shared_web_cache_is_as_good_as_a_central_one() {
    let table = small(Name::Webcache, &Options::new(vec![1], true));
    for of in ["Redmond, 100 MB", "Cambridge, 100 MB"] {
        let mean = |what: &str| mean(&table, &format!("{of}, {what}"));
        for scheme in ["home-store", "directory"] {
            let below = mean(&format!("{scheme}: points below the central cache"));
            assert!(below <= 1.0, "{of}, {scheme}: {below} points below");
            let above = mean(&format!("{scheme}: external, % above the central cache"));
            assert!(above <= 2.0, "{of}, {scheme}: {above}% above");
            assert!(mean(&format!("{scheme}: requests without an answer")) == 0.0);
        }
        // The paper's reasons for home-store: less is lost with a node, and the way is shorter.
        for what in ["lost with a node, %", "hops a request, answer included"] {
            let of = |scheme: &str| mean(&format!("{scheme}: {what}"));
            assert!(of("home-store") < of("directory"), "{table}");
        }
    }
    // Where room is short, two copies of everything cost hits.
    let short = |what: &str| mean(&table, &format!("Cambridge, 10 MB, {what}: hit ratio"));
    assert!(short("home-store") < short("central"), "{table}");
}

#[test]
fn access_logs_are_traces() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let line = |host: &str, second: u32, request: &str, status: u16, bytes: &str| {
        format!(
            "{host} - - [10/Oct/2000:13:55:{second:02} -0700] \"{request} HTTP/1.0\" {status} {bytes}\n"
        )
    };
    let mut text = String::new();
    for (second, host) in (0..).zip(["a", "b", "c", "a"]) {
        text += &line(host, second, "GET /page", 200, "1000");
    }
    text += &line("b", 10, "GET /page", 304, "-");
    text += &line("b", 11, "GET /page", 200, "1001");
    text += &line("b", 12, "GET /search?q=x", 200, "500");
    text += &line("c", 13, "POST /page", 200, "500");
    std::fs::write(&log, &text).expect("a file");
    let options = Options::new(vec![1], true);
    let table = sim::tables::of_log(&log, 100, &options).expect("a table");
    // Of eight requests four are hits: two versions once each, and two that cannot be cached.
    for what in ["central", "home-store", "directory"] {
        let ratio = mean(&table, &format!("log, 100 MB, {what}: hit ratio"));
        assert!((ratio - 50.0).abs() < 1e-9, "{what}: {ratio}\n{table}");
    }
    text += "no log at all\n";
    std::fs::write(&log, &text).expect("a file");
    let error = sim::tables::of_log(&log, 100, &options).expect_err("a bad line");
    assert!(
        error
            .to_string()
            .ends_with("access.log:9: no time in brackets"),
        "{error}"
    );
}
