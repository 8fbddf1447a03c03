use std::time::Duration;

use crate::net::Net;

fn run(seed: u64) -> String {
    let mut net = Net::grow(seed, 30);
    net.loss = 20;
    for number in 0..100 {
        let key = net.random_key();
        net.route(number % 30, key);
    }
    net.kill(7);
    net.run(Duration::from_secs(20));
    net.log
}

#[test]
fn one_seed_decides_everything() {
    let first = run(1);
    assert!(first.lines().count() > 1000);
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
}
