use std::time::Duration;

use bytes::Bytes;
use overlay_core::{
    Answer, AppId, Body, Config, ConfigError, Input, Message, MessageId, Outcome,
    RandomisedRouting, Routed, SecurityConfig,
};
use rand::Rng;

use crate::net::Net;

/// Of 300 lookups among 200 nodes, a fifth of which swallow what is routed through them,
/// those that name the root; keys of swallowing nodes are left out.
fn found(security: SecurityConfig) -> usize {
    let config = Config {
        security,
        ..Config::default()
    };
    let mut net = Net::grow_with(1, config, 200);
    net.swallowing = (0..200).filter(|node| node % 5 == 2).collect();
    let mut asked = Vec::new();
    while asked.len() < 300 {
        let (key, from) = (net.random_key(), net.random_node());
        let root = net.closest(key)[0];
        if !net.swallowing.contains(&root) && !net.swallowing.contains(&from) {
            asked.push((net.locate(from, key, 3, false), root));
            net.run(Duration::from_millis(5));
        }
    }
    net.run(Duration::from_secs(12));
    let named = |(request, root): &(_, _)| match &net.done[request] {
        Ok(Outcome::Replied {
            answer: Answer::ReplicaSet(set),
            ..
        }) => {
            assert!(set.len() <= 3);
            set[0].peer == *root
        }
        _ => false,
    };
    asked.into_iter().filter(named).count()
}

#[test]
fn lookups_go_round_nodes_that_swallow_them() {
    let none = found(SecurityConfig::off());
    let retries = found(SecurityConfig {
        randomised: RandomisedRouting::Retries,
        ..SecurityConfig::off()
    });
    let all = found(SecurityConfig::default());
    assert!(none < 290, "{none}");
    assert!(retries > none, "{retries} of {none}");
    assert!(all >= 299, "{all}");
}

/// Half of all answers are doubted.
fn doubting() -> Config {
    Config {
        security: SecurityConfig {
            density_percent: 100,
            ..SecurityConfig::default()
        },
        ..Config::default()
    }
}

#[test]
fn a_node_that_is_slow_to_answer_is_missing_from_no_answer() {
    let mut net = Net::grow_with(3, doubting(), 32);
    net.run(Duration::from_secs(30));
    for _ in 0..300 {
        let (key, from) = (net.random_key(), net.random_node());
        let closest: Vec<_> = net.closest(key).into_iter().take(3).collect();
        let slow = closest[(net.rng.next_u64() % 3) as usize];
        // Longer than a hop is given before a message takes another way.
        net.slow.insert(slow, Duration::from_millis(400));
        let request = net.locate(from, key, 3, false);
        net.run_until_done(request);
        net.slow.clear();
        net.run(Duration::from_secs(2));
        let Ok(Outcome::Replied {
            answer: Answer::ReplicaSet(set),
            ..
        }) = &net.done[&request]
        else {
            panic!("{:?}", net.done[&request]);
        };
        let named: Vec<_> = set.iter().map(|contact| contact.peer).collect();
        assert_eq!(named, closest, "asked by {from}, where {slow} was slow");
    }
}

#[test]
fn a_dead_node_that_is_named_costs_a_lookup_a_quarter_of_a_round() {
    let round = doubting().request_timeout / 5;
    let mut net = Net::grow_with(4, doubting(), 32);
    net.run(Duration::from_secs(30));
    for _ in 0..40 {
        let (key, from) = (net.random_key(), net.random_node());
        let closest = net.closest(key);
        let dead = closest[1];
        if dead == from {
            continue;
        }
        // Nobody has noticed yet.
        net.silent.insert(dead);
        let begun = net.now;
        let request = net.locate(from, key, 3, false);
        net.run_until_done(request);
        let took = net.now.since(begun);
        net.silent.clear();
        net.run(Duration::from_secs(30));
        let Ok(Outcome::Replied {
            answer: Answer::ReplicaSet(set),
            ..
        }) = &net.done[&request]
        else {
            panic!("{:?}", net.done[&request]);
        };
        // Who decides by itself, or is not in doubt, has not noticed either.
        let named: Vec<_> = set.iter().map(|contact| contact.peer).collect();
        assert_eq!(named[0], closest[0]);
        // Two rounds with a quarter each, and what hops wait for.
        assert!(took < round, "{took:?} with {dead} dead");
    }
}

#[test]
fn random_ways_end_at_the_root_too() {
    let config = Config {
        security: SecurityConfig {
            randomised: RandomisedRouting::Always,
            ..SecurityConfig::default()
        },
        ..Config::default()
    };
    let mut net = Net::grow_with(2, config, 200);
    for number in 0..500 {
        let key = net.random_key();
        net.route(number % 200, key);
        net.run(Duration::from_millis(60));
    }
    assert_eq!(net.deliveries.len(), 500);
    for delivery in &net.deliveries {
        assert_eq!(delivery.at, delivery.root);
    }
}

/// How many of 50 messages of good nodes come through node 0 while one peer has it carry
/// three thousand for a node that never acknowledges.
fn come_through(security: SecurityConfig) -> usize {
    let config = Config {
        security,
        ..Config::default()
    };
    let mut net = Net::grow_with(3, config, 60);
    // Its neighbours on either side: one is mute, the other is where good messages go.
    let silent = net.nodes[&0].larger_leafs()[0].clone();
    let goal = net.nodes[&0].smaller_leafs()[0].clone();
    let mut others = (1..60).filter(|node| *node != silent.peer && *node != goal.peer);
    let flooder = others.next().expect("58 are left");
    let good = others.next().expect("57 are left");
    let message = |from: u32, number, key, net: &Net| {
        let origin = net.contacts[&from].clone();
        let id = MessageId {
            origin: origin.guid,
            number,
        };
        let body = Body::App {
            app: AppId(9),
            payload: Bytes::new(),
            any_of: None,
            wants_reply: false,
        };
        let message = Message::Route(Routed {
            id,
            key,
            origin,
            hops: 0,
            trace: None,
            body,
        });
        Input::Received { from, message }
    };
    // It answers probes, so that it is not found dead.
    net.mute.insert(silent.peer);
    for number in 0..5000u64 {
        let input = message(flooder, number, silent.guid, &net);
        net.input(0, input);
        if number % 50 == 0 {
            net.run(Duration::from_millis(20));
        }
    }
    let before = net.deliveries.len();
    for number in 0..50u64 {
        let input = message(good, number, goal.guid, &net);
        net.input(0, input);
    }
    net.run(Duration::from_secs(1));
    let delivered = net.deliveries[before..].iter();
    delivered
        .filter(|one| one.at == goal.peer && one.key == goal.guid)
        .count()
}

#[test]
fn a_flood_does_not_drive_out_what_others_send() {
    assert_eq!(come_through(SecurityConfig::default()), 50);
    assert!(come_through(SecurityConfig::off()) < 50);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let with = |security| Config {
        security,
        ..Config::default()
    };
    let usual = SecurityConfig::default();
    let routes = SecurityConfig {
        redundant_routes: 65,
        ..usual.clone()
    };
    let density = SecurityConfig {
        density_percent: 99,
        ..usual.clone()
    };
    let burst = SecurityConfig {
        peer_burst: 0,
        ..usual.clone()
    };
    let flight = SecurityConfig {
        peer_in_flight: 0,
        ..usual
    };
    let refused = |security| with(security).validate().expect_err("it is refused");
    assert_eq!(refused(routes), ConfigError::Routes(65));
    assert_eq!(refused(density), ConfigError::Density(99));
    assert_eq!(
        refused(burst),
        ConfigError::NoneAtOnce("security.peer_burst")
    );
    assert_eq!(
        refused(flight),
        ConfigError::NoneAtOnce("security.peer_in_flight")
    );
    assert!(with(SecurityConfig::off()).validate().is_ok());
}
