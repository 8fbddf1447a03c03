//! Whatever others ask of it, a node keeps no more than it said it would (L16).

use std::time::Duration;

use overlay_core::{Config, Full, LocationConfig, Outcome, RouteFailure};

use crate::net::Net;

fn with(location: LocationConfig) -> Config {
    Config {
        location,
        ..Config::default()
    }
}

#[test]
fn a_node_publishes_only_as_much_as_it_may() {
    let location = LocationConfig {
        max_publications: 3,
        ..LocationConfig::default()
    };
    let mut net = Net::grow_with(1, with(location), 10);
    for _ in 0..3 {
        let object = net.random_key();
        net.published(4, object);
    }
    let object = net.random_key();
    let request = net.publish(4, object);
    let full = RouteFailure::Full(Full::Publications);
    assert_eq!(net.done[&request], Err(full));
    // One that it publishes may be published again.
    let known = net.nodes[&4].published().next().expect("three are");
    net.published(4, known);
}

#[test]
fn a_publisher_has_only_its_share_at_each_node() {
    let location = LocationConfig {
        max_pointers_of_publisher: 5,
        ..LocationConfig::default()
    };
    let mut net = Net::grow_with(2, with(location), 8);
    let mut refused = 0;
    for _ in 0..40 {
        let object = net.random_key();
        let request = net.publish(3, object);
        net.run(Duration::from_secs(2));
        match &net.done[&request] {
            Ok(Outcome::Published(_)) => assert!(net.located(5, object, 1).is_ok()),
            Err(RouteFailure::Full(Full::Publisher)) => {
                refused += 1;
                assert!(net.nodes[&3].published().all(|one| one != object));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0);
    for overlay in net.nodes.values() {
        assert!(
            overlay
                .pointers()
                .filter(|(_, holder)| *holder == 3)
                .count()
                <= 5
        );
    }
    // Another publisher's share is its own.
    let object = net.random_key();
    net.published(4, object);
}

#[test]
fn an_object_has_only_so_many_pointers_at_each_node() {
    let location = LocationConfig {
        max_pointers_of_object: 4,
        // Few nodes have a pointer, so that all of them may be full.
        roots: 3,
        root_copies: 1,
        backups: 0,
        neighbours: 0,
        ..LocationConfig::default()
    };
    let mut net = Net::grow_with(3, with(location), 30);
    let object = net.random_key();
    let mut full = 0;
    for holder in 0..20 {
        let request = net.publish(holder, object);
        net.run(Duration::from_secs(2));
        match &net.done[&request] {
            Ok(Outcome::Published(_)) => {}
            Err(RouteFailure::Full(Full::Object)) => full += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(full > 0);
    for overlay in net.nodes.values() {
        assert!(overlay.pointers().count() <= 4);
    }
    assert!(net.located(25, object, 4).expect("some hold it").len() >= 4);
}

#[test]
fn a_node_keeps_only_so_many_pointers_in_all() {
    let location = LocationConfig {
        max_pointers: 20,
        ..LocationConfig::default()
    };
    let mut net = Net::grow_with(4, with(location), 6);
    let mut full = 0;
    for number in 0..100 {
        let object = net.random_key();
        let request = net.publish(number % 6, object);
        net.run(Duration::from_millis(100));
        full += u32::from(matches!(
            net.done.get(&request),
            Some(Err(RouteFailure::Full(Full::Pointers)))
        ));
    }
    assert!(full > 0);
    for overlay in net.nodes.values() {
        assert!(overlay.pointers().count() <= 20);
        assert!(overlay.stats().pointers_refused > 0);
    }
}

#[test]
fn too_many_holders_are_not_asked_for() {
    let mut net = Net::grow(5, 3);
    let object = net.random_key();
    for count in [0, overlay_core::MAX_WANTED + 1] {
        let request = net.locate_object(0, object, count);
        assert!(matches!(net.done[&request], Err(RouteFailure::Invalid(_))));
    }
}

#[test]
fn impossible_settings_are_refused() {
    let changes: [fn(&mut LocationConfig); 4] = [
        |location| location.roots = 0,
        |location| location.roots = 9,
        |location| location.backups = 9,
        |location| location.lifetime = location.republish,
    ];
    for change in changes {
        let mut config = Config::default();
        change(&mut config.location);
        assert!(config.validate().is_err());
    }
}
