use std::time::Duration;

use overlay_core::{Input, RouteFailure, State};

use crate::net::Net;

#[test]
fn who_leaves_is_gone_at_once() {
    let mut net = Net::grow(1, 30);
    for node in [3, 14, 15] {
        net.input(node, Input::Leave);
        assert_eq!(net.nodes[&node].state(), State::Left);
        net.kill(node);
        net.run(Duration::from_millis(100));
        net.assert_leaf_sets();
    }
}

#[test]
fn a_node_that_left_ends_its_requests() {
    let mut net = Net::grow(2, 5);
    let key = net.random_key();
    net.input(0, Input::Leave);
    let request = net.route(0, key);
    assert_eq!(net.done[&request], Err(RouteFailure::Left));
}

#[test]
fn who_left_may_come_back() {
    let mut net = Net::grow(3, 10);
    let contact = net.contacts[&4].clone();
    net.input(4, Input::Leave);
    net.kill(4);
    net.run(Duration::from_millis(100));
    let back = overlay_core::Overlay::new(overlay_core::Config::default(), contact, 99, net.now);
    net.nodes.insert(4, back);
    net.tell(4, 7);
    net.run_until_active(4);
    net.run(Duration::from_millis(200));
    net.assert_leaf_sets();
}

#[test]
fn who_left_is_lost_until_it_is_back() {
    let mut net = Net::grow(4, 10);
    let place = net.contacts[&4].guid;
    net.input(4, Input::Leave);
    net.kill(4);
    net.run(Duration::from_millis(100));
    let at = net.now;
    let lost = |net: &Net| net.nodes[&5].lost().collect::<Vec<_>>();
    assert!(matches!(lost(&net)[..], [(guid, since)] if guid == place && since < at));

    net.forget(4);
    net.tell(4, 7);
    net.run_until_active(4);
    net.run(Duration::from_millis(200));
    assert_eq!(lost(&net), []);
}
