use std::time::Duration;

use crate::net::Net;

/// Two networks grown apart, `count` nodes each; cut from each other until told.
fn apart(seed: u64, count: u32) -> Net {
    let mut net = Net::new(seed);
    for number in 0..2 * count {
        let node = net.add();
        if number >= 2 {
            net.tell(node, number % 2);
        }
        net.run_until_active(node);
        net.run(Duration::from_millis(100));
    }
    net
}

#[test]
fn two_networks_that_meet_become_one() {
    for seed in 0..10 {
        let mut net = apart(seed, 8);
        // As discovery on one LAN would: everyone hears of everyone.
        for one in 0..16 {
            for other in 0..16 {
                net.tell(one, other);
            }
        }
        net.run(Duration::from_secs(2));
        net.assert_leaf_sets();
    }
}

#[test]
fn one_acquaintance_is_enough_for_small_networks() {
    for seed in 0..10 {
        let mut net = apart(seed, 5);
        net.tell(0, 1);
        net.run(Duration::from_secs(2));
        net.assert_leaf_sets();
    }
}

#[test]
fn a_healed_partition_is_one_network_again() {
    let mut net = Net::grow(11, 16);
    for one in 0..8 {
        for other in 8..16 {
            net.cut.insert((one, other));
        }
    }
    net.run(Duration::from_secs(30));
    net.cut.clear();
    for one in 0..16 {
        for other in 0..16 {
            net.tell(one, other);
        }
    }
    net.run(Duration::from_secs(3));
    net.assert_leaf_sets();
}
