//! Silence, and answers that nobody asked for (Q5, Q7).

use std::time::Duration;

use webcache_core::{Copied, Input, Message, Purpose, Scheme, Source};

use crate::net::{Net, Origin};

#[test]
fn a_home_that_fails_costs_one_trip_to_the_origin() {
    for scheme in [Scheme::HomeStore, Scheme::Directory] {
        let mut net = Net::new(scheme, 10);
        let object = net.object_at(3, 1);
        net.origin.insert(object, Origin::Public(1));
        net.get(0, object);
        let trips = net.trips.len();
        net.dead.insert(3);
        // The next home knows nothing, and asks once more; all others have hits again.
        net.get(1, object);
        assert_eq!(net.trips.len(), trips + 1, "{scheme:?}");
        for peer in [2, 4, 5, 6, 7, 8, 9] {
            net.get(peer, object);
        }
        assert_eq!(net.trips.len(), trips + 1, "{scheme:?}");
    }
}

#[test]
fn a_silent_home_is_left_out_after_two_seconds() {
    let mut net = Net::new(Scheme::HomeStore, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    let ticket = net.request(0, object);
    // It dies with the question on its way to it.
    net.dead.insert(3);
    net.pass(Duration::from_micros(1_999_999));
    assert_eq!(net.source_of(ticket), None);
    net.pass(Duration::from_micros(1));
    assert_eq!(net.source_of(ticket), Some(Source::Origin));
    assert_eq!(net.trips, [(0, object, Purpose::Own)]);
    assert_eq!(net.stats(0).silent, 1);
}

#[test]
fn a_home_out_of_reach_is_left_out_at_once() {
    let mut net = Net::new(Scheme::HomeStore, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    let ticket = net.request(0, object);
    let ask = net.number(0, object);
    let other = ask.wrapping_add(1);
    net.input(0, Input::Unreachable { object, ask: other });
    assert!(net.trips.is_empty(), "no such question");
    net.input(0, Input::Unreachable { object, ask });
    assert_eq!(net.trips, [(0, object, Purpose::Own)]);
    // The home answers after all: too late.
    net.settle();
    assert_eq!(net.source_of(ticket), Some(Source::Origin));
}

#[test]
fn a_home_cannot_put_an_asker_off_for_ever() {
    let mut net = Net::new(Scheme::HomeStore, 2);
    let object = net.object_at(1, 1);
    let ticket = net.request(0, object);
    net.dead.insert(1);
    net.settle();
    net.dead.remove(&1);
    let ask = net.number(0, object);
    for _ in 0..70 {
        net.deliver(1, 0, Message::Wait { ask, object });
        net.pass(Duration::from_secs(1));
    }
    assert_eq!(net.trips, [(0, object, Purpose::Own)]);
    assert_eq!(net.source_of(ticket), Some(Source::Failed));
}

#[test]
fn answers_that_nobody_asked_for_are_dropped() {
    let mut net = Net::new(Scheme::Directory, 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    net.get(0, object);
    let ticket = net.request(1, object);
    let copy = Copied {
        version: 666,
        size: 1,
        fresh_us: 1_000_000,
    };
    let forged = Message::Object {
        ask: 77,
        object,
        copy,
        hit: true,
    };
    net.deliver(9, 1, forged);
    let ask = net.number(1, object);
    net.deliver(9, 1, Message::Gone { ask, object });
    net.deliver(
        9,
        3,
        Message::Told {
            object,
            outcome: webcache_core::Told::Got(copy),
        },
    );
    assert_eq!(net.source_of(ticket), None);
    assert_eq!((net.stats(1).unexpected, net.stats(3).unexpected), (2, 1));
    net.settle();
    assert_eq!(
        net.source_of(ticket),
        Some(Source::Peer { from: 0, hit: true })
    );
}

#[test]
fn what_is_called_current_and_is_not_is_asked_for_at_the_origin() {
    let mut net = Net::new(Scheme::HomeStore, 2);
    let object = net.object_at(1, 1);
    net.origin.insert(object, Origin::Public(1));
    let ticket = net.request(0, object);
    net.dead.insert(1);
    net.settle();
    net.dead.remove(&1);
    let copy = Copied {
        version: 1,
        size: 1,
        fresh_us: 1,
    };
    let ask = net.number(0, object);
    net.deliver(1, 0, Message::Current { ask, object, copy });
    net.settle();
    assert_eq!(net.source_of(ticket), Some(Source::Origin));
}
