use std::time::Duration;

use overlay_core::State;

use crate::net::Net;

#[test]
fn a_node_that_finds_nobody_is_a_network_of_its_own() {
    let mut net = Net::new(1);
    let node = net.add();
    net.run(Duration::from_millis(399));
    assert_eq!(net.nodes[&node].state(), State::Joining);
    net.run(Duration::from_millis(2));
    assert_eq!(net.nodes[&node].state(), State::Active);
}

#[test]
fn eight_nodes_started_at_once_are_one_network_within_a_second() {
    for seed in 0..50 {
        let mut net = Net::burst(seed, 8);
        net.run(Duration::from_secs(1));
        net.assert_leaf_sets();
    }
}

#[test]
fn sixty_nodes_started_at_once_are_one_network_soon_after() {
    for seed in 0..5 {
        let mut net = Net::burst(seed, 60);
        net.run(Duration::from_secs(5));
        net.assert_leaf_sets();
    }
}

#[test]
fn two_started_at_once_found_one_network() {
    for seed in 0..50 {
        let mut net = Net::burst(seed, 2);
        net.run(Duration::from_secs(1));
        net.assert_leaf_sets();
    }
}
