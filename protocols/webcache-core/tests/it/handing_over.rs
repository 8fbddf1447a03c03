//! Homes that come and go (Q12, Q13).

use std::time::Duration;

use guid::Span;
use webcache_core::{Config, Input, Message, Scheme, Source};

use crate::net::{Net, Origin};

const OBJECTS: u64 = 200;

/// A net in which node 0 has asked for everything; some nodes are homes of much.
fn filled(scheme: Scheme) -> (Net, Vec<guid::Guid>) {
    let mut net = Net::new(scheme, 4);
    let objects: Vec<_> = (0..OBJECTS)
        .map(|n| guid::Guid::hash(&n.to_be_bytes()))
        .collect();
    for object in &objects {
        net.origin.insert(*object, Origin::Public(1));
        net.get(0, *object);
    }
    (net, objects)
}

#[test]
fn a_newcomer_is_given_what_it_is_the_home_of() {
    for scheme in [Scheme::HomeStore, Scheme::Directory] {
        let (mut net, objects) = filled(scheme);
        let config = Config {
            scheme,
            ..Config::default()
        };
        net.add(50, config);
        let moved: Vec<_> = objects
            .iter()
            .filter(|object| net.home(**object) == 50)
            .collect();
        assert!(moved.len() > 10, "only {} have a new home", moved.len());
        for peer in 0..4 {
            for object in &moved {
                let span = Span::new(**object, **object);
                net.input(peer, Input::Moved { span, to: 50 });
            }
        }
        net.pass(Duration::from_secs(20));
        let trips = net.trips.len();
        for object in moved {
            assert!(matches!(
                net.get(2, *object),
                Source::Peer { hit: true, .. } | Source::Local
            ));
        }
        assert_eq!(
            net.trips.len(),
            trips,
            "{scheme:?}: the origin was asked again"
        );
    }
}

#[test]
fn one_that_leaves_gives_what_it_had_in_small_messages() {
    let (mut net, objects) = filled(Scheme::Directory);
    let of_one: Vec<_> = objects
        .iter()
        .filter(|object| net.home(**object) == 1)
        .collect();
    net.input(
        1,
        Input::Moved {
            span: Span::full(),
            to: 2,
        },
    );
    net.pass(Duration::from_secs(10));
    assert_eq!(net.nodes[&1].cache.entries().count(), 0);
    assert_eq!(net.stats(1).offered, of_one.len() as u64);
    assert_eq!(net.stats(2).taken_over, of_one.len() as u64);
    for (_, _, message) in &net.log {
        if let Message::Offer { objects } = message {
            assert!(objects.len() <= 64);
        }
    }
}

#[test]
fn who_asks_while_it_is_handed_over_waits_for_that() {
    let mut net = Net::new(Scheme::HomeStore, 4);
    let object = net.object_at(1, 1);
    net.origin.insert(object, Origin::Public(1));
    net.get(0, object);
    let trips = net.trips.len();
    let copy = webcache_core::Copied {
        version: 1,
        size: 1000,
        fresh_us: 60_000_000,
    };
    let delegates = Vec::new();
    let objects = vec![webcache_core::Offered {
        object,
        copy,
        delegates,
    }];
    net.deliver(1, 2, Message::Offer { objects });
    assert!(net.nodes[&2].cache.is_taking_over(object));
    let get = Message::Get {
        ask: 5,
        object,
        version: None,
        without: None,
    };
    net.deliver(3, 2, get);
    net.settle();
    assert_eq!(net.trips.len(), trips, "the origin was asked again");
    let given = |(from, to, message): &(u32, u32, Message<u32>)| {
        (*from, *to) == (2, 3)
            && matches!(
                message,
                Message::Object {
                    ask: 5,
                    hit: true,
                    ..
                }
            )
    };
    assert!(net.log.iter().any(given));
}

#[test]
fn an_offer_of_what_is_gone_costs_a_trip_and_no_more() {
    let mut net = Net::new(Scheme::HomeStore, 2);
    let object = net.object_at(1, 1);
    net.origin.insert(object, Origin::Public(1));
    let copy = webcache_core::Copied {
        version: 1,
        size: 1000,
        fresh_us: 60_000_000,
    };
    let offered = webcache_core::Offered {
        object,
        copy,
        delegates: Vec::new(),
    };
    net.deliver(
        0,
        1,
        Message::Offer {
            objects: vec![offered],
        },
    );
    assert!(net.nodes[&1].cache.is_taking_over(object));
    let ticket = net.request(1, object);
    net.settle();
    // Node 0 has not got it; the home asks the origin for who has been waiting.
    assert_eq!(
        net.source_of(ticket),
        Some(Source::Peer {
            from: 1,
            hit: false
        })
    );
    assert_eq!((net.trips.len(), net.stats(1).taken_over), (1, 0));
}

#[test]
fn strangers_hand_over_nothing() {
    for scheme in [Scheme::HomeStore, Scheme::Directory] {
        let mut net = Net::new(scheme, 4);
        let object = net.object_at(1, 1);
        net.origin.insert(object, Origin::Public(1));
        let offer = || {
            let copy = webcache_core::Copied {
                version: 1,
                size: 1000,
                fresh_us: 60_000_000,
            };
            let objects = vec![webcache_core::Offered {
                object,
                copy,
                delegates: vec![0],
            }];
            Message::Offer { objects }
        };
        net.strangers.insert(0);
        net.deliver(0, 1, offer());
        net.settle();
        assert_eq!(net.stats(1).unexpected, 1, "{scheme:?}");
        assert!(!net.nodes[&1].cache.is_taking_over(object));
        assert_eq!(net.nodes[&1].cache.entries().count(), 0);
        // From who may, the same is taken.
        net.strangers.clear();
        net.deliver(0, 1, offer());
        let taken = match scheme {
            Scheme::HomeStore => net.nodes[&1].cache.is_taking_over(object),
            Scheme::Directory => net.nodes[&1].cache.entries().count() == 1,
        };
        assert!(taken, "{scheme:?}");
    }
}
