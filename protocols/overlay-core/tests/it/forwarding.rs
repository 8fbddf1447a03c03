//! Applications that decide about messages on their way.

use std::time::Duration;

use bytes::Bytes;
use overlay_core::{AppId, Input, Outcome, RequestId, RouteFailure};

use crate::net::Net;

fn intercepted(seed: u64, count: usize) -> Net {
    let mut net = Net::grow(seed, count);
    for node in 0..count as u32 {
        net.input(node, Input::Intercept(AppId(1)));
    }
    net
}

#[test]
fn each_node_on_the_way_asks_once() {
    let mut net = intercepted(1, 100);
    let mut hops = 0;
    for number in 0..100 {
        let key = net.random_key();
        let request = net.route(number, key);
        net.run(Duration::from_millis(50));
        let Some(Ok(Outcome::Replied { hops: taken, .. })) = net.done.get(&request) else {
            panic!("no answer");
        };
        hops += usize::from(*taken);
    }
    assert_eq!(net.asked, hops);
}

#[test]
fn tries_to_reach_a_silent_root_are_not_asked_about() {
    let mut net = intercepted(2, 2);
    let root = net.contacts[&1].guid;
    net.kill(1);
    let request = net.route(0, root);
    net.run(Duration::from_secs(12));
    assert_eq!(net.asked, 1);
    // It was dead, so the other one is the root by now.
    assert!(net.done[&request].is_ok());
}

#[test]
fn a_stopped_message_goes_no_further_and_ends() {
    let mut net = intercepted(3, 2);
    net.stops = true;
    let key = net.contacts[&1].guid;
    let request = RequestId(1000);
    let (app, payload) = (AppId(1), Bytes::from_static(b"hello"));
    let wants_reply = false;
    net.input(
        0,
        Input::Route {
            request,
            key,
            k: 1,
            app,
            payload,
            wants_reply,
        },
    );
    assert_eq!(net.done[&request], Ok(Outcome::Accepted));
    let request = net.route(0, key);
    net.run(Duration::from_secs(11));
    assert!(net.deliveries.is_empty());
    assert!(matches!(net.done[&request], Err(RouteFailure::TimedOut(_))));
}
