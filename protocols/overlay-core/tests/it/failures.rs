use std::collections::BTreeSet;
use std::time::Duration;

use overlay_core::{Config, Input, Outcome, State};

use crate::net::{Net, Node};

#[test]
fn leaf_sets_are_whole_again_after_deaths_one_by_one() {
    let mut net = Net::grow(1, 60);
    for _ in 0..30 {
        let live: Vec<_> = net.nodes.keys().copied().collect();
        let victim = live[(net.random_key().as_u128() % live.len() as u128) as usize];
        net.kill(victim);
        net.run(Duration::from_secs(12));
        net.assert_leaf_sets();
    }
}

#[test]
fn a_quarter_of_all_nodes_may_die_at_once() {
    let mut net = Net::grow(2, 60);
    for node in (0..60).step_by(4) {
        net.kill(node);
    }
    net.run(Duration::from_secs(60));
    net.assert_leaf_sets();
}

#[test]
fn neighbours_on_the_ring_may_die_at_once() {
    let mut net = Net::grow(3, 60);
    let key = net.random_key();
    for node in net.closest(key)[..5].to_vec() {
        net.kill(node);
    }
    net.run(Duration::from_secs(30));
    net.assert_leaf_sets();
}

#[test]
fn messages_reach_the_root_round_silent_hops() {
    let mut net = Net::grow(4, 100);
    for node in (0..100).step_by(10) {
        net.kill(node);
    }
    // Nobody has noticed yet: every hop has to find out for itself.
    for number in 0..200u32 {
        let key = net.random_key();
        let from = number % 100;
        if net.nodes.contains_key(&from) {
            net.route(from, key);
        }
    }
    net.run(Duration::from_secs(12));
    assert!(net.done.values().all(Result::is_ok), "{:?}", net.done);
    for delivery in net.deliveries.clone() {
        assert_eq!(delivery.at, net.closest(delivery.key)[0]);
    }
}

#[test]
fn loss_delays_messages_and_loses_few() {
    let mut net = Net::grow(5, 60);
    net.loss = 50;
    for number in 0..500u32 {
        let key = net.random_key();
        net.locate(number % 60, key, 3, true);
        net.run(Duration::from_millis(20));
    }
    net.run(Duration::from_secs(12));
    let answered = net.done.values().filter(|outcome| outcome.is_ok()).count();
    assert!(answered >= 499, "{answered} of 500 answered");
}

#[test]
fn a_lost_connection_to_a_living_node_costs_nobody_its_place() {
    let mut net = Net::grow(6, 20);
    for node in 0..20 {
        for other in 0..20 {
            net.input(node, Input::PeerGone(other));
        }
    }
    net.run(Duration::from_secs(5));
    net.assert_leaf_sets();
    assert!(
        net.nodes
            .values()
            .all(|overlay| overlay.stats().failures == 0)
    );
}

#[test]
fn a_lost_connection_to_a_dead_node_is_noticed_before_the_next_heartbeat() {
    let mut net = Net::grow(7, 8);
    net.kill(3);
    for node in net.nodes.keys().copied().collect::<Vec<_>>() {
        net.input(node, Input::PeerGone(3));
    }
    net.run(Duration::from_millis(1600));
    net.assert_leaf_sets();
    let key = net.random_key();
    let request = net.route(0, key);
    net.run(Duration::from_millis(20));
    assert!(matches!(net.done[&request], Ok(Outcome::Replied { .. })));
}

/// Of a leaf set that is asked where messages are lost, somebody always misses an answer.
#[test]
fn a_death_where_messages_are_lost_does_not_have_everyone_asked_over_and_over() {
    let config = Config {
        leaf_set: 32,
        heartbeat: Duration::from_secs(30),
        probe_timeout: Duration::from_secs(3),
        min_probe_timeout: Duration::from_millis(250),
        ..Config::default()
    };
    let mut net = Net::grow_with(8, config, 100);
    net.loss = 50;
    net.run(Duration::from_secs(60));
    let probes = |net: &Net| -> u64 { net.nodes.values().map(|node| node.stats().probes).sum() };
    net.kill(20);
    let before = probes(&net);
    net.run(Duration::from_secs(120));
    // Each of the 32 leafs asks the dead one thrice and the end of a side once, the one that
    // watched it tells the others, and each may ask all of its leafs once.
    let asked = probes(&net) - before;
    assert!(asked < 80 * 100, "{asked} questions after one death");
}

/// Its place is as empty as a dead one's: what it keeps cannot be had.
#[test]
fn who_was_restarted_before_it_was_missed_is_lost_until_it_is_back() {
    let mut net = Net::grow(9, 12);
    net.forget(3);
    let others: Vec<_> = net
        .nodes
        .keys()
        .copied()
        .filter(|node| *node != 3)
        .collect();
    for node in &others {
        net.input(*node, Input::PeerGone(3));
    }
    let guid = net.contacts[&3].guid;
    let lost = |net: &Net, node: Node| net.nodes[&node].lost().any(|(lost, _)| lost == guid);
    // Who asks it tells it of the network, and it joins at once.
    let mut missed: BTreeSet<Node> = BTreeSet::new();
    while net.nodes[&3].state() != State::Active {
        net.run(Duration::from_millis(1));
        missed.extend(others.iter().copied().filter(|node| lost(&net, *node)));
    }
    assert!(missed.iter().eq(&others));
    net.run(Duration::from_secs(1));
    assert!(!others.iter().any(|node| lost(&net, *node)));
}

/// The same, seen by a message that it did not take.
#[test]
fn who_refuses_a_message_is_lost_until_it_is_back() {
    let mut net = Net::grow(10, 12);
    let guid = net.contacts[&3].guid;
    net.forget(3);
    net.route(0, guid);
    let mut missed = false;
    while net.nodes[&3].state() != State::Active {
        net.run(Duration::from_millis(1));
        missed |= net.nodes[&0].lost().any(|(lost, _)| lost == guid);
    }
    assert!(missed);
    net.run(Duration::from_secs(1));
    assert_eq!(net.nodes[&0].lost().count(), 0);
}

/// A right neighbour whose every answer was lost lives all the same, and those next to it
/// say so: it is asked once more, and not only by the rounds of healing.
#[test]
fn a_neighbours_word_brings_back_who_was_only_not_heard() {
    for seed in 0..10 {
        let mut net = Net::grow(seed, 30);
        let watcher = net.random_node();
        let watched = net.nodes[&watcher].larger_leafs()[0].clone();
        let pair = (watcher.min(watched.peer), watcher.max(watched.peer));
        net.cut.insert(pair);
        net.log.clear();
        let question = format!(" {watcher}->{} probe", watched.peer);
        while net.log.matches(&question).count() < 3 {
            net.run(Duration::from_millis(1));
        }
        net.cut.clear();
        let knows = |net: &Net| net.nodes[&watcher].larger_leafs().contains(&watched);
        while knows(&net) {
            net.run(Duration::from_millis(1));
        }
        net.run(Duration::from_secs(1));
        net.assert_leaf_sets();
    }
}
