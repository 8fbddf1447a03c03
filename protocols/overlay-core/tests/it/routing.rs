use std::time::Duration;

use guid::Base;
use overlay_core::{Answer, Outcome};

use crate::net::Net;

#[test]
fn a_thousand_keys_are_delivered_at_the_closest_live_node() {
    let mut net = Net::grow(1, 60);
    for number in 0..1000u32 {
        let key = net.random_key();
        net.route(number % 60, key);
        net.run(Duration::from_millis(30));
    }
    assert_eq!(net.deliveries.len(), 1000);
    for delivery in net.deliveries.clone() {
        assert_eq!(delivery.at, net.closest(delivery.key)[0]);
    }
    assert!(net.done.values().all(Result::is_ok));
}

#[test]
fn a_network_wider_than_leaf_sets_takes_few_hops() {
    let mut net = Net::grow(2, 200);
    let mut hops = 0;
    for number in 0..500u32 {
        let key = net.random_key();
        let request = net.route(number % 200, key);
        net.run(Duration::from_millis(50));
        let Some(Ok(Outcome::Replied {
            from, hops: taken, ..
        })) = net.done.get(&request)
        else {
            panic!("no answer");
        };
        assert_eq!(from.peer, net.closest(key)[0]);
        hops += u32::from(*taken);
    }
    // log16 of 200 is 1.9.
    assert!(hops < 500 * 2, "{hops} hops for 500 messages");
}

#[test]
fn a_trace_names_every_hop_and_each_comes_closer() {
    let mut net = Net::grow(3, 200);
    for number in 0..200u32 {
        let key = net.random_key();
        let request = net.locate(number, key, 1, true);
        net.run(Duration::from_millis(50));
        let Some(Ok(Outcome::Replied {
            from,
            trace: Some(trace),
            hops,
            ..
        })) = net.done.get(&request)
        else {
            panic!("no answer");
        };
        assert_eq!(trace.len(), usize::from(*hops) + 1);
        assert_eq!(trace[0].contact.peer, number);
        let last = &trace[trace.len() - 1].contact;
        assert_eq!((last, last.peer), (from, net.closest(key)[0]));
        for pair in trace.windows(2) {
            let (before, after) = (&pair[0].contact, &pair[1].contact);
            let rtt = Duration::from_micros(pair[1].rtt_micros.expect("a measured hop"));
            assert_eq!(rtt, net.latency(before.peer, after.peer) * 2);
            let (b, a) = (
                key.shared_prefix(before.guid, Base::B4),
                key.shared_prefix(after.guid, Base::B4),
            );
            assert!(a > b || key.cmp_distance(after.guid, before.guid).is_lt());
        }
    }
}

#[test]
fn everyone_names_the_same_replica_set() {
    let mut net = Net::grow(4, 60);
    for _ in 0..100 {
        let key = net.random_key();
        let expected: Vec<_> = net.closest(key)[..3].to_vec();
        for node in [0, 17, 42] {
            let request = net.locate(node, key, 3, false);
            net.run(Duration::from_millis(50));
            let Some(Ok(Outcome::Replied {
                answer: Answer::ReplicaSet(set),
                ..
            })) = net.done.get(&request)
            else {
                panic!("no answer");
            };
            let set: Vec<_> = set.iter().map(|contact| contact.peer).collect();
            assert_eq!(set, expected);
        }
    }
}
