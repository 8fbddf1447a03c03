//! Finding objects, and sending to those that hold them (L8 to L12).

use std::time::Duration;

use overlay_core::{Config, LocationConfig, Outcome, RouteFailure};

use crate::net::{Net, Node};

#[test]
fn a_published_object_is_found_from_everywhere() {
    let mut net = Net::grow(1, 120);
    let object = net.random_key();
    let published = net.published(7, object);
    assert_eq!(published.roots, 5);
    assert!(published.pointers >= 5, "{published:?}");
    for from in 0..120 {
        let found = net.located(from, object, 1).expect("it is published");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].holder.peer, 7);
        assert_eq!(found[0].reply, None);
    }
}

#[test]
fn a_node_alone_finds_what_it_publishes_itself() {
    let mut net = Net::grow(2, 1);
    let object = net.random_key();
    assert_eq!(net.published(0, object).pointers, 0);
    assert_eq!(net.located(0, object, 3).expect("it is here")[0].hops, 0);
    let other = net.random_key();
    assert_eq!(net.located(0, other, 1), Err(RouteFailure::NotFound));
}

#[test]
fn what_nobody_publishes_is_not_found_and_that_is_known_soon() {
    let mut net = Net::grow(3, 80);
    let before = net.now;
    let object = net.random_key();
    assert_eq!(net.located(5, object, 1), Err(RouteFailure::NotFound));
    // It costs a few round trips of some milliseconds, not a timeout.
    assert!(net.now.since(before) < Duration::from_millis(200));
}

#[test]
fn the_nearest_holders_come_first_and_no_holder_twice() {
    let mut net = Net::grow(4, 150);
    let object = net.random_key();
    for holder in 0..6 {
        net.published(holder, object);
    }
    for from in 20..60 {
        for count in 1..=8 {
            let found = net.located(from, object, count).expect("they hold it");
            let mut holders: Vec<Node> = found.iter().map(|one| one.holder.peer).collect();
            holders.sort_unstable();
            holders.dedup();
            assert_eq!(holders.len(), found.len(), "one holder twice");
            assert_eq!(found.len(), count.min(6));
        }
    }
}

/// Way taken by a search against the way to the nearest holder, in the median.
fn stretch(config: Config) -> f64 {
    let mut stretches = Vec::new();
    for seed in 0..2 {
        let mut net = Net::grow_with(seed, config.clone(), 150);
        for _ in 0..20 {
            let object = net.random_key();
            let holders: Vec<Node> = (0..4).map(|_| net.random_node()).collect();
            for holder in &holders {
                net.published(*holder, object);
            }
            for _ in 0..20 {
                let from = net.random_node();
                if holders.contains(&from) {
                    continue;
                }
                let nearest = holders
                    .iter()
                    .map(|holder| net.latency(from, *holder))
                    .min();
                let nearest = nearest.expect("there are some");
                let before = net.now;
                net.located(from, object, 1).expect("it is published");
                // The answer comes straight back from the holder, which is the least of it.
                let taken = net.now.since(before).saturating_sub(nearest);
                stretches.push(taken.as_secs_f64() / nearest.as_secs_f64());
            }
        }
    }
    stretches.sort_by(f64::total_cmp);
    stretches[stretches.len() / 2]
}

#[test]
fn searches_turn_off_to_a_near_holder() {
    let plain = stretch(Config::default());
    let location = LocationConfig {
        backups: 1,
        neighbours: 5,
        spread_hops: 2,
        ..LocationConfig::default()
    };
    let spread = stretch(Config {
        location,
        ..Config::default()
    });
    println!("median stretch to the nearest of 4: {plain:.2}, with more pointers {spread:.2}");
    // In a network of 150 the plane has few nodes near any holder.
    assert!(plain < 5.0, "{plain}");
    assert!(spread < plain, "{spread}");
}

#[test]
fn a_message_reaches_as_many_holders_as_it_should_and_each_once() {
    let mut net = Net::grow(6, 100);
    let object = net.random_key();
    for holder in [3, 30, 60, 90] {
        net.published(holder, object);
    }
    for count in 1..=5 {
        net.object_deliveries.clear();
        let request = net.send_to_object(10, object, count);
        net.run_until_done(request);
        net.run(Duration::from_secs(12));
        let Ok(Outcome::Found(found)) = &net.done[&request] else {
            panic!("{:?}", net.done[&request]);
        };
        assert_eq!(found.len(), count.min(4));
        for one in found {
            assert_eq!(
                one.reply.as_ref().expect("it answers").as_deref(),
                Ok(&b"hello"[..])
            );
        }
        let at: std::collections::BTreeSet<Node> =
            net.object_deliveries.iter().map(|one| one.at).collect();
        assert!(net.object_deliveries.iter().all(|one| one.object == object));
        assert_eq!(at.len(), net.object_deliveries.len(), "one holder twice");
        assert_eq!(at.len(), count.min(4));
    }
}

#[test]
fn a_holder_that_died_is_passed_over_for_the_next() {
    let mut net = Net::grow(7, 100);
    let object = net.random_key();
    for holder in [3, 30] {
        net.published(holder, object);
    }
    net.kill(3);
    for from in 40..60 {
        let found = net.located(from, object, 1).expect("one is left");
        assert_eq!(found[0].holder.peer, 30);
    }
}

#[test]
fn a_holder_that_restarted_without_the_object_is_passed_over() {
    let mut net = Net::grow(8, 60);
    let object = net.random_key();
    net.published(3, object);
    net.published(30, object);
    net.restart(3, 0);
    for from in 40..60 {
        let found = net.located(from, object, 2).expect("one is left");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].holder.peer, 30);
    }
    // It has said itself that it holds the object no more.
    assert!(net.pointing(object, 3).len() < 3);
}

#[test]
fn searches_get_through_a_network_that_loses_one_message_in_twenty() {
    let mut net = Net::grow(9, 100);
    net.loss = 50;
    let mut searches = Vec::new();
    for holder in 0..20 {
        let object = net.random_key();
        net.published(holder, object);
        for from in (20..100).step_by(7) {
            searches.push(net.locate_object(from, object, 1));
            net.run(Duration::from_millis(20));
        }
    }
    net.run(Duration::from_secs(12));
    let found = searches.iter().filter(|search| net.done[search].is_ok());
    assert_eq!(found.count(), searches.len());
}

#[test]
fn what_is_asked_of_a_joiner_is_done_once_it_has_joined() {
    let mut net = Net::grow(10, 20);
    let object = net.random_key();
    net.published(4, object);
    let joiner = net.add();
    let own = net.random_key();
    let publish = net.publish(joiner, own);
    let search = net.locate_object(joiner, object, 1);
    net.run(Duration::from_millis(10));
    assert!(!net.done.contains_key(&publish) && !net.done.contains_key(&search));
    net.tell(joiner, 0);
    net.run(Duration::from_secs(2));
    assert!(net.done[&publish].is_ok() && net.done[&search].is_ok());
    assert_eq!(
        net.located(9, own, 1).expect("published")[0].holder.peer,
        joiner
    );
}
