use std::time::Duration;

use overlay_core::State;

use crate::net::Net;

#[test]
fn sixty_nodes_join_one_after_the_other() {
    let mut net = Net::new(1);
    for number in 0..60u32 {
        let node = net.add();
        if number > 0 {
            net.tell(node, number / 2);
        }
        net.run_until_active(node);
        net.run(Duration::from_millis(100));
        net.assert_leaf_sets();
    }
}

#[test]
fn a_joiner_delivers_nothing_until_its_leaf_set_has_answered() {
    let mut net = Net::grow(2, 20);
    let joiner = net.add();
    let guid = net.contacts[&joiner].guid;
    let neighbour = net.closest(guid)[1];
    // One member of its leaf set does not answer: it has to be found dead first.
    net.silent.insert(neighbour);
    let seed = net.closest(guid)[10];
    net.tell(joiner, seed);
    net.run(Duration::from_millis(400));
    assert_eq!(net.nodes[&joiner].state(), State::Joining);
    let request = net.route(seed, guid);
    net.run(Duration::from_millis(50));
    assert!(net.deliveries.iter().all(|delivery| delivery.at != joiner));
    net.run(Duration::from_secs(10));
    assert_eq!(net.nodes[&joiner].state(), State::Active);
    assert!(net.done.contains_key(&request));
}

#[test]
fn joins_get_through_a_network_that_loses_one_message_in_twenty() {
    let mut net = Net::new(3);
    net.loss = 50;
    for number in 0..30u32 {
        let node = net.add();
        if number > 0 {
            net.tell(node, number / 2);
        }
        net.run_until_active(node);
    }
    net.run(Duration::from_secs(30));
    net.assert_leaf_sets();
}
