//! What a network costs that has nothing to do, and what that buys.

use std::time::Duration;

use crate::net::Net;

#[test]
fn a_node_with_eight_neighbours_is_nearly_silent() {
    let mut net = Net::grow(1, 9);
    net.run(Duration::from_secs(60));
    net.bytes = Some(0);
    net.run(Duration::from_secs(600));
    let a_second = net.bytes.expect("it was set") / 600 / 9;
    // Half of it each way: what one sends another receives.
    println!("{a_second} bytes a second and node");
    assert!(2 * a_second < 1000, "{a_second}");
}

#[test]
fn a_dead_neighbour_keeps_nobody_busy() {
    let mut net = Net::grow(2, 9);
    net.kill(4);
    net.run(Duration::from_secs(60));
    net.bytes = Some(0);
    net.run(Duration::from_secs(600));
    let a_second = net.bytes.expect("it was set") / 600 / 8;
    println!("{a_second} bytes a second and node");
    assert!(2 * a_second < 2000, "{a_second}");
}

#[test]
fn a_death_that_no_connection_tells_of_is_known_within_seven_seconds() {
    for seed in 0..20 {
        let mut net = Net::grow(seed, 9);
        net.run(Duration::from_secs(10) + Duration::from_millis(seed * 100));
        net.kill(4);
        net.run(Duration::from_millis(6500));
        net.assert_leaf_sets();
    }
}
