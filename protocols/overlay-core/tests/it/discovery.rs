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

#[test]
fn who_was_named_others_founds_no_network_while_they_may_still_answer() {
    let mut net = Net::grow(4, 3);
    for node in 0..3 {
        // A connection has to be made first, and the machine has much to do.
        net.slow.insert(node, Duration::from_millis(700));
    }
    let node = net.add();
    net.tell(node, 1);
    net.run_until_active(node);
    assert_ne!(net.nodes[&node].smaller_leafs(), []);
}

#[test]
fn a_node_alone_knows_that_those_it_was_named_exist() {
    let mut net = Net::grow(5, 3);
    for node in 0..3 {
        net.silent.insert(node);
    }
    let node = net.add();
    net.tell(node, 1);
    net.tell(node, 2);
    let lost = |net: &Net| {
        let mut lost: Vec<_> = net.nodes[&node].lost().map(|(guid, _)| guid).collect();
        lost.sort();
        lost
    };
    let mut named = [net.contacts[&1].guid, net.contacts[&2].guid];
    named.sort();
    net.run_until_active(node);
    assert_eq!(lost(&net), named);
    net.run(Duration::from_secs(60));
    assert_eq!(lost(&net), named);

    net.silent.clear();
    net.run(Duration::from_secs(90));
    assert_eq!(lost(&net), []);
    net.assert_leaf_sets();
}

/// A machine that was taken elsewhere is to say some day that there is nothing.
#[test]
fn those_that_were_named_and_are_silent_for_long_are_not_reckoned_with() {
    let mut net = Net::grow(5, 2);
    for node in 0..2 {
        net.silent.insert(node);
    }
    let node = net.add();
    net.tell(node, 1);
    net.run_until_active(node);
    net.run(Duration::from_secs(330));
    // Whoever remembers it names it again and again.
    for _ in 0..100 {
        assert_eq!(net.nodes[&node].lost().count(), 0);
        net.tell(node, 1);
        net.run(Duration::from_millis(700));
    }
}

#[test]
fn those_a_joiner_was_named_in_vain_are_the_networks_to_know() {
    let mut net = Net::grow(6, 4);
    net.kill(3);
    net.run(Duration::from_secs(10));
    let node = net.add();
    net.tell(node, 3);
    net.tell(node, 1);
    net.run_until_active(node);
    net.run(Duration::from_secs(10));
    assert_eq!(net.nodes[&node].lost().count(), 0);
}
