//! Messages that any of the k nodes closest to a key may take (P33).

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use guid::Guid;
use overlay_core::{
    AnyOf, AppId, Body, Config, Contact, Message, MessageId, Outcome, Overlay, RouteFailure, Routed,
};
use proptest::prelude::*;

use crate::net::{Net, Node};

fn small_sets() -> Config {
    Config {
        leaf_set: 8,
        neighbourhood: 8,
        ..Config::default()
    }
}

/// The nodes on the way of a message, its origin first.
fn way(nodes: &BTreeMap<Node, Overlay<Node>>, from: Node, key: Guid, k: usize) -> Vec<Node> {
    let mut any_of = AnyOf::new(k);
    let (mut way, mut at) = (vec![from], from);
    let mut turned_at = None;
    loop {
        let here = &nodes[&at];
        let next = match &mut any_of {
            Some(any_of) => here.next_hop_to_any(key, any_of),
            None => here.next_hop(key),
        };
        let Some(next) = next else {
            return way;
        };
        let turned = any_of.as_ref().is_some_and(AnyOf::has_turned);
        let encoded = serde_ipld_dagcbor::to_vec(&any_of).expect("encodable");
        let decoded: Option<AnyOf> = serde_ipld_dagcbor::from_slice(&encoded).expect("readable");
        assert_eq!(decoded, any_of);
        if turned {
            let closer = key.cmp_distance(next.guid, here.me().guid);
            assert!(
                closer.is_lt(),
                "{way:?} to {key}: {} is no closer",
                next.peer
            );
            turned_at.get_or_insert(way.len());
        }
        at = next.peer;
        // On each of its two parts a way meets nobody twice.
        let part = turned_at.filter(|_| turned).unwrap_or(0);
        assert!(
            !way[part..].contains(&at),
            "{way:?} to {key} comes back to {at}"
        );
        way.push(at);
    }
}

#[test]
fn messages_end_at_one_of_the_k_closest_and_often_at_the_nearest() {
    let mut net = Net::grow_with(1, small_sets(), 200);
    let (mut nearest, mut root_is_nearest) = (0, 0);
    for number in 0..500u32 {
        let (from, key) = (number % 200, net.random_key());
        let expected = *way(&net.nodes, from, key, 4).last().expect("an origin");
        let request = net.route_to_any(from, key, 4);
        net.run(Duration::from_millis(50));
        let Some(Ok(Outcome::Replied { from: at, .. })) = net.done.get(&request) else {
            panic!("no answer: {:?}", net.done.get(&request));
        };
        assert_eq!(at.peer, expected);
        let four = net.closest(key)[..4].to_vec();
        assert!(four.contains(&at.peer), "{} is none of {four:?}", at.peer);
        let far = |node: Node| (node != from).then(|| net.latency(from, node));
        let least = four.iter().map(|one| far(*one)).min().expect("four");
        nearest += u32::from(far(at.peer) == least);
        root_is_nearest += u32::from(far(four[0]) == least);
    }
    assert_eq!(net.deliveries.len(), 500, "each message is delivered once");
    assert!(
        nearest > 350 && root_is_nearest < 200,
        "{nearest} ended at the nearest, {root_is_nearest} roots are the nearest"
    );
}

#[test]
fn one_of_one_is_the_root_by_the_usual_way() {
    let mut net = Net::grow(2, 100);
    for number in 0..300u32 {
        let (from, key) = (number % 100, net.random_key());
        let way = way(&net.nodes, from, key, 1);
        let request = net.route_to_any(from, key, 1);
        net.run(Duration::from_millis(50));
        let Some(Ok(Outcome::Replied { from, hops, .. })) = net.done.get(&request) else {
            panic!("no answer");
        };
        assert_eq!(from.peer, net.closest(key)[0]);
        assert_eq!(usize::from(*hops), way.len() - 1);
    }
}

#[test]
fn gaps_silent_hops_and_loss_do_not_lead_to_others() {
    let mut net = Net::grow_with(3, small_sets(), 120);
    let mut asked = Vec::new();
    // A whole side of some leaf sets and many others die, and nobody has noticed yet.
    let key = net.random_key();
    let mut dead = net.closest(key)[..4].to_vec();
    dead.extend((0..120).step_by(7));
    for node in dead {
        net.kill(node);
    }
    net.route_loss = 30;
    for round in 0..40u32 {
        for number in 0..10u32 {
            let from = (round * 10 + number) % 120;
            let key = if number % 2 == 0 {
                key
            } else {
                net.random_key()
            };
            if net.nodes.contains_key(&from) {
                asked.push(net.route_to_any(from, key, 4));
            }
        }
        net.run(Duration::from_millis(100));
    }
    net.run(Duration::from_secs(12));
    assert!(asked.len() > 250);
    for request in &asked {
        assert!(net.done[request].is_ok(), "{:?}", net.done[request]);
    }
    for delivery in &net.deliveries {
        let four = &net.closest(delivery.key)[..4];
        assert!(
            four.contains(&delivery.at),
            "{delivery:?} is none of {four:?}"
        );
    }
}

#[test]
fn more_than_a_leaf_set_of_takers_and_none_are_refused() {
    let mut net = Net::grow(4, 2);
    for k in [0, 17] {
        let key = net.random_key();
        let request = net.route_to_any(0, key, k);
        assert!(matches!(net.done[&request], Err(RouteFailure::Invalid(_))));
    }
}

#[test]
fn a_message_without_takers_is_out_of_bounds() {
    let origin = Contact {
        guid: Guid::new(5),
        peer: 5u32,
        addrs: overlay_core::Addrs::default(),
    };
    // What a hostile peer can put on the wire and the constructor cannot make.
    let encoded = serde_ipld_dagcbor::to_vec(&BTreeMap::from([("k", 0u8)])).expect("a map");
    let any_of: AnyOf = serde_ipld_dagcbor::from_slice(&encoded).expect("well formed");
    let message = Message::Route(Routed {
        id: MessageId {
            origin: origin.guid,
            number: 1,
        },
        key: Guid::new(0),
        origin,
        hops: 0,
        trace: None,
        body: Body::App {
            app: AppId(1),
            payload: bytes::Bytes::new(),
            wants_reply: false,
            any_of: Some(any_of),
        },
    });
    assert!(message.validate(&Config::default()).is_err());
}

/// A network that takes long to grow and does not change any more.
fn nodes() -> &'static BTreeMap<Node, Overlay<Node>> {
    static NODES: OnceLock<BTreeMap<Node, Overlay<Node>>> = OnceLock::new();
    NODES.get_or_init(|| Net::grow_with(5, small_sets(), 150).nodes)
}

proptest! {
    #[test]
    fn every_way_comes_closer_and_ends_at_one_of_the_k_closest(
        from in 0u32..150,
        key in prop_oneof![
            any::<u128>().prop_map(Guid::new),
            // Beside a node, where sides of a digit's end meet.
            (0u32..150, -2i128..3).prop_map(|(node, step)| {
                Guid::new(nodes()[&node].me().guid.as_u128().wrapping_add_signed(step))
            }),
            (1u32..256, -2i128..3).prop_map(|(first, step)| {
                Guid::new((u128::from(first) << 120).wrapping_add_signed(step))
            }),
        ],
        k in 1usize..9,
    ) {
        let nodes = nodes();
        let end = *way(nodes, from, key, k).last().expect("an origin");
        let mut closest: Vec<Node> = nodes.keys().copied().collect();
        closest.sort_by(|a, b| key.cmp_distance(nodes[a].me().guid, nodes[b].me().guid));
        prop_assert!(closest[..k].contains(&end), "{} is none of {:?}", end, &closest[..k]);
    }
}
