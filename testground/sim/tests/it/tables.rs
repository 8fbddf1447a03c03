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
