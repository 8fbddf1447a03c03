use std::time::Duration;

use bytes::Bytes;
use overlay_core::{AppId, Input, MAX_PAYLOAD, RequestId, RouteFailure};

use crate::net::Net;

#[test]
fn what_is_asked_of_a_joiner_is_answered_once_it_has_joined() {
    let mut net = Net::grow(1, 10);
    let joiner = net.add();
    let key = net.random_key();
    let request = net.route(joiner, key);
    net.run(Duration::from_millis(10));
    assert!(!net.done.contains_key(&request));
    net.tell(joiner, 0);
    net.run(Duration::from_secs(1));
    assert!(net.done[&request].is_ok());
}

#[test]
fn a_request_nobody_answers_ends_in_time() {
    let mut net = Net::grow(2, 2);
    let (one, other) = (net.contacts[&0].guid, net.contacts[&1].guid);
    assert_ne!(one, other);
    net.cut.insert((0, 1));
    let request = net.route(0, other);
    net.run(Duration::from_secs(11));
    // The other node is dead as far as this one can tell, so it is the root itself.
    assert!(net.done.contains_key(&request));
}

#[test]
fn too_large_a_payload_is_refused_with_its_size() {
    let mut net = Net::grow(3, 1);
    let request = RequestId(1);
    let payload = Bytes::from(vec![0; MAX_PAYLOAD + 1]);
    let key = net.random_key();
    net.input(
        0,
        Input::Route {
            request,
            key,
            k: 1,
            app: AppId(1),
            payload,
            wants_reply: false,
        },
    );
    let Err(RouteFailure::Invalid(reason)) = &net.done[&request] else {
        panic!("taken")
    };
    assert!(reason.contains("65537"), "{reason}");
}

#[test]
fn more_replicas_than_half_a_leaf_set_are_refused() {
    let mut net = Net::grow(4, 1);
    let key = net.random_key();
    for k in [0, 9] {
        let request = net.locate(0, key, k, false);
        assert!(matches!(net.done[&request], Err(RouteFailure::Invalid(_))));
    }
}

#[test]
fn every_request_of_a_storm_ends_exactly_once() {
    let mut net = Net::grow(5, 10);
    net.loss = 300;
    let key = net.random_key();
    let requests: Vec<_> = (0..5000)
        .map(|number| net.route(number % 10, key))
        .collect();
    net.run(Duration::from_secs(30));
    assert!(
        requests
            .iter()
            .all(|request| net.done.contains_key(request))
    );
}
