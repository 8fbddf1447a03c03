//! The routing table holds near nodes (Pastry, figure 7).

use std::time::Duration;

use guid::Base;
use overlay_core::Config;

use crate::net::{Net, Node};

/// Nodes that look for a near seed, however near the one they have.
fn searching() -> Config {
    Config {
        near_seed: Duration::ZERO,
        ..Config::default()
    }
}

/// The node by which another has sent its join message.
fn seed_of(net: &Net, joiner: Node) -> Node {
    let sent = format!(" {joiner}->");
    let mut lines = net.log.lines();
    let route = lines.find(|line| line.contains(&sent) && line.ends_with(" route"));
    let (_, to) = route
        .and_then(|line| line.split_once("->"))
        .expect("it has joined");
    let to = to.split(' ').next();
    to.and_then(|to| to.parse().ok()).expect("a node's number")
}

/// How many nodes are nearer to one than another is.
fn nearer(net: &Net, node: Node, other: Node) -> usize {
    let latency = net.latency(node, other);
    let others = net.nodes.keys().filter(|third| **third != node);
    others
        .filter(|third| net.latency(node, **third) < latency)
        .count()
}

/// The farthest node there is.
fn farthest(net: &Net, node: Node) -> Node {
    let others = net.nodes.keys().filter(|other| **other != node);
    *others
        .max_by_key(|other| net.latency(node, **other))
        .expect("it is not alone")
}

#[test]
fn a_joiner_with_a_far_seed_joins_by_a_near_one() {
    let mut net = Net::grow_with(2, searching(), 300);
    let mut ranks = Vec::new();
    for _ in 0..30 {
        let joiner = net.add();
        let far = farthest(&net, joiner);
        net.tell(joiner, far);
        net.run_until_active(joiner);
        ranks.push(nearer(&net, joiner, seed_of(&net, joiner)));
    }
    ranks.sort_unstable();
    println!("of 300 nodes so many are nearer than the seed: {ranks:?}");
    assert!(ranks[15] <= 3 && ranks[27] <= 30, "{ranks:?}");
    net.run(Duration::from_secs(20));
    net.assert_leaf_sets();
}

#[test]
fn silent_candidates_delay_a_search_and_end_no_join() {
    let mut net = Net::grow_with(3, searching(), 120);
    // A third of all have died, and nobody knows yet.
    for node in (0..120).filter(|node| node % 3 == 1) {
        net.kill(node);
    }
    let joiner = net.add();
    let seed = farthest(&net, joiner);
    net.tell(joiner, seed);
    net.run_until_active(joiner);
    assert!(net.nodes.contains_key(&seed_of(&net, joiner)));
    net.run(Duration::from_secs(60));
    net.assert_leaf_sets();
}

#[test]
fn who_has_a_near_seed_or_a_small_network_does_not_search() {
    for (config, nodes) in [(Config::default(), 120), (searching(), 12)] {
        let mut net = Net::grow_with(4, config, nodes);
        let joiner = net.add();
        let far = farthest(&net, joiner);
        net.tell(joiner, far);
        net.run_until_active(joiner);
        assert_eq!(seed_of(&net, joiner), far);
    }
}

/// The share of the first row's entries that are the nearest live node for their cell.
fn nearest_share(net: &Net) -> f64 {
    let (mut nearest, mut all) = (0, 0);
    for (node, overlay) in &net.nodes {
        for (row, column, entry) in overlay.table().filter(|(row, ..)| *row == 0) {
            let fits = |other: &&Node| {
                *other != node && net.contacts[other].guid.digit(row, Base::B4) == column
            };
            let best = net.nodes.keys().filter(fits);
            let best = best.map(|other| net.latency(*node, *other)).min();
            all += 1;
            nearest += usize::from(best == Some(net.latency(*node, entry.peer)));
        }
    }
    nearest as f64 / all as f64
}

#[test]
fn joining_finds_near_nodes_for_the_first_row() {
    let net = Net::grow(1, 300);
    let share = nearest_share(&net);
    println!("{share:.3} of the entries are the nearest there are");
    assert!(share > 0.85, "{share}");
}
