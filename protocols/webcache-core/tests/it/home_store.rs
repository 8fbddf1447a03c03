//! The home keeps the object (Q3 to Q6, Q8).

use std::time::Duration;

use webcache_core::{Purpose, Scheme, Source};

use crate::net::{FRESH, Net, Origin};

#[test]
fn what_one_has_got_is_a_hit_for_all_others() {
    let mut net = Net::new(Scheme::HomeStore, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    let from = 3;
    assert_eq!(net.get(0, object), Source::Peer { from, hit: false });
    for peer in 1..10 {
        let source = net.get(peer, object);
        match peer {
            // It is the home itself, and has it.
            3 => assert_eq!(source, Source::Local),
            _ => assert_eq!(source, Source::Peer { from, hit: true }),
        }
        assert_eq!(net.get(peer, object), Source::Local);
    }
    assert_eq!(net.trips, [(3, object, Purpose::Group)]);
}

#[test]
fn a_stale_copy_is_renewed_without_a_body() {
    let mut net = Net::new(Scheme::HomeStore, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    net.get(0, object);
    net.get(1, object);
    let bodies = net.bodies();
    net.pass(FRESH);
    // The home asks the origin with its copy, and tells both that theirs is right.
    assert_eq!(net.get(0, object), Source::Validated(3));
    assert_eq!(net.get(1, object), Source::Validated(3));
    assert_eq!(net.get(1, object), Source::Local);
    assert_eq!((net.trips.len(), net.bodies()), (2, bodies));
    // It has changed: whoever asks gets the new one, once from the origin.
    net.pass(FRESH);
    net.origin.insert(object, Origin::Public(2));
    assert_eq!(
        net.get(0, object),
        Source::Peer {
            from: 3,
            hit: false
        }
    );
    assert_eq!(net.get(1, object), Source::Peer { from: 3, hit: true });
    assert_eq!(net.nodes[&1].store[&object].version, 2);
    assert_eq!(net.trips.len(), 3);
}

#[test]
fn simultaneous_misses_ask_the_origin_once() {
    let mut net = Net::new(Scheme::HomeStore, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    net.origin_is_slow = true;
    let tickets: Vec<_> = (0..20).map(|n| net.request(n % 10, object)).collect();
    // Longer than a silent home would be waited for: this one has said that it is at it.
    net.pass(Duration::from_secs(30));
    net.origin_is_slow = false;
    net.settle();
    for ticket in tickets {
        assert_eq!(
            net.source_of(ticket),
            Some(Source::Peer {
                from: 3,
                hit: false
            })
        );
    }
    assert_eq!(net.trips, [(3, object, Purpose::Group)]);
    // Each of the nine others got the body once, though it has two clients.
    assert_eq!(net.bodies(), 9);
}

#[test]
fn what_is_private_is_shared_with_nobody() {
    let mut net = Net::new(Scheme::HomeStore, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Private);
    let (one, other) = (net.request(0, object), net.request(0, object));
    net.settle();
    assert_eq!(net.source_of(one), Some(Source::Origin));
    assert_eq!(net.source_of(other), Some(Source::Direct));
    assert_eq!(
        net.trips,
        [(3, object, Purpose::Group), (0, object, Purpose::Own)]
    );
    assert!(net.nodes.values().all(|node| node.store.is_empty()));
    // The home remembers, and so does who has asked: no detour for either.
    assert_eq!(net.get(1, object), Source::Origin);
    let messages = net.log.len();
    assert_eq!(net.get(0, object), Source::Direct);
    assert_eq!((net.trips.len(), net.log.len()), (3, messages));
    // After a while it may be something else.
    net.pass(Duration::from_secs(300));
    net.origin.insert(object, Origin::Public(1));
    assert_eq!(
        net.get(0, object),
        Source::Peer {
            from: 3,
            hit: false
        }
    );
}

#[test]
fn a_home_that_asks_no_origin_for_others_leaves_it_to_the_askers() {
    let mut net = Net::new(Scheme::HomeStore, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    net.refusing.insert(3);
    assert_eq!(net.get(0, object), Source::Origin);
    assert_eq!(net.get(1, object), Source::Origin);
    // Nothing that an asker says is at the home comes to be there.
    assert!(net.nodes[&3].store.is_empty());
    assert_eq!(net.stats(3).taken_over, 0);
    let own = net.trips.iter().filter(|trip| trip.2 == Purpose::Own);
    assert_eq!(own.count(), 2);
}

#[test]
fn a_home_without_a_way_out_leaves_it_to_the_asker() {
    let mut net = Net::new(Scheme::HomeStore, 10);
    let object = net.object_at(3, 1);
    assert_eq!(net.get(0, object), Source::Failed);
    assert_eq!(
        net.trips,
        [(3, object, Purpose::Group), (0, object, Purpose::Own)]
    );
}
