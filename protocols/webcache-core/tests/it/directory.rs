//! The home knows who has the object (Q9 to Q11).

use std::time::Duration;

use webcache_core::{Message, Purpose, Scheme, Source};

use crate::net::{FRESH, Net, Origin};

#[test]
fn the_asker_goes_to_the_origin_and_serves_the_next() {
    let mut net = Net::new(Scheme::Directory, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    assert_eq!(net.get(0, object), Source::Origin);
    assert_eq!(net.trips, [(0, object, Purpose::Own)]);
    for peer in [1, 2, 4, 5, 6, 7] {
        let Source::Peer { from, hit: true } = net.get(peer, object) else {
            panic!("{peer} had no hit");
        };
        assert_ne!(from, 3, "the home has no body");
    }
    assert_eq!(net.trips.len(), 1);
    assert!(!net.nodes[&3].store.contains_key(&object));
    let known: Vec<_> = net.nodes[&3].cache.entries().collect();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].2, [4, 5, 6, 7], "the newest four");
}

#[test]
fn conditional_requests_have_no_body() {
    let mut net = Net::new(Scheme::Directory, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    net.get(0, object);
    net.get(1, object);
    net.pass(FRESH);
    // One asks the origin with its copy; the other is told that nothing has changed.
    let bodies = net.bodies();
    assert_eq!(net.get(0, object), Source::Origin);
    assert_eq!(net.get(1, object), Source::Validated(3));
    assert_eq!((net.trips.len(), net.bodies()), (2, bodies));
}

#[test]
fn simultaneous_misses_ask_the_origin_once() {
    let mut net = Net::new(Scheme::Directory, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    net.origin_is_slow = true;
    let tickets: Vec<_> = (0..20).map(|n| net.request(n % 10, object)).collect();
    net.pass(Duration::from_secs(30));
    net.origin_is_slow = false;
    net.settle();
    assert!(
        tickets
            .iter()
            .all(|ticket| net.source_of(*ticket).is_some())
    );
    assert_eq!(net.trips, [(0, object, Purpose::Own)]);
}

#[test]
fn the_next_in_line_is_sent_when_the_first_has_nothing_to_tell() {
    let mut net = Net::new(Scheme::Directory, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    net.origin_is_slow = true;
    let first = net.request(0, object);
    net.settle();
    let second = net.request(1, object);
    net.settle();
    net.dead.insert(0);
    net.origin_is_slow = false;
    net.pass(Duration::from_secs(60));
    assert_eq!(net.source_of(first), None);
    assert_eq!(net.source_of(second), Some(Source::Origin));
}

#[test]
fn a_delegate_without_the_object_is_dropped_and_another_asked() {
    let mut net = Net::new(Scheme::Directory, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    net.get(0, object);
    net.get(1, object);
    net.evict(0, object);
    net.dead.insert(1);
    // Neither has it: after both have been tried the asker is sent to the origin.
    let ticket = net.request(2, object);
    net.pass(Duration::from_secs(10));
    assert_eq!(net.source_of(ticket), Some(Source::Origin));
    let known: Vec<_> = net.nodes[&3].cache.entries().collect();
    assert_eq!(known[0].2, [2]);
    assert_eq!(net.get(4, object), Source::Peer { from: 2, hit: true });
}

#[test]
fn redirects_that_lead_nowhere_end() {
    let mut net = Net::new(Scheme::Directory, 3);
    let object = net.object_at(1, 1);
    net.origin.insert(object, Origin::Public(1));
    let ticket = net.request(0, object);
    net.dead.insert(1);
    net.settle();
    net.dead.remove(&1);
    // A home that names the asker itself, again and again.
    net.dead.insert(2);
    for _ in 1..=5 {
        let (ask, delegate) = (net.number(0, object), 0);
        net.deliver(
            1,
            0,
            Message::Redirect {
                ask,
                object,
                delegate,
            },
        );
    }
    assert_eq!(net.trips, [(0, object, Purpose::Own)]);
    net.settle();
    assert_eq!(net.source_of(ticket), Some(Source::Origin));
}

#[test]
fn what_is_private_is_in_no_directory() {
    let mut net = Net::new(Scheme::Directory, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Private);
    net.origin_is_slow = true;
    let (one, other) = (net.request(0, object), net.request(1, object));
    net.settle();
    net.origin_is_slow = false;
    net.settle();
    assert_eq!(net.source_of(one), Some(Source::Origin));
    assert_eq!(net.source_of(other), Some(Source::Origin));
    assert_eq!(net.nodes[&3].cache.entries().count(), 0);
    assert_eq!(net.trips.len(), 2);
}
