//! Interfaces that fail and senders that misbehave.

use crate::{
    discovery::{Node, block_on, run, set},
    namespace::{self, interface, ip},
};

const A: &str = "/ip4/10.1.0.1/tcp/1";
const LATER: &str = "/ip4/10.1.0.1/tcp/9";

#[test]
fn the_behaviour_can_move_to_another_thread() {
    fn send<T: Send>() {}
    send::<mdns::Behaviour>();
}

#[test]
fn an_interface_taken_down_and_up_again_works_again() {
    namespace::run(
        "trouble::an_interface_taken_down_and_up_again_works_again",
        || {
            interface("eth1", &["10.1.0.1/24"]);
            block_on(async {
                let mut nodes = [Node::new(&[A]), Node::new(&[])];
                let a = nodes[0].peer;
                run(&mut nodes, |nodes| nodes[1].knows(a) == set(&[A])).await;
                let sockets = |node: &Node| node.behaviour.sockets().count();
                ip("link set eth1 down");
                run(&mut nodes, |nodes| nodes.iter().all(|n| sockets(n) == 0)).await;
                ip("link set eth1 up");
                run(&mut nodes, |nodes| nodes.iter().all(|n| sockets(n) > 0)).await;
                nodes[0].listen(LATER);
                run(&mut nodes, |nodes| nodes[1].knows(a) == set(&[A, LATER])).await;
            });
        },
    );
}

#[test]
fn an_interface_that_changes_its_address_works_with_the_new_one() {
    namespace::run(
        "trouble::an_interface_that_changes_its_address_works_with_the_new_one",
        || {
            interface("eth1", &["10.1.0.1/24"]);
            block_on(async {
                let new = "/ip4/10.5.0.1/tcp/1";
                let mut nodes = [Node::new(&[A, new]), Node::new(&[])];
                let a = nodes[0].peer;
                run(&mut nodes, |nodes| nodes[1].knows(a) == set(&[A])).await;
                ip("address delete 10.1.0.1/24 dev eth1");
                ip("address add 10.5.0.1/24 dev eth1");
                run(&mut nodes, |nodes| nodes[1].knows(a).contains(new)).await;
            });
        },
    );
}

#[test]
fn a_flood_of_nonsense_is_refused_and_discovery_goes_on() {
    namespace::run(
        "trouble::a_flood_of_nonsense_is_refused_and_discovery_goes_on",
        || {
            interface("eth1", &["10.1.0.1/24"]);
            block_on(async {
                let mut nodes = [Node::new(&[A]), Node::new(&[])];
                let a = nodes[0].peer;
                run(&mut nodes, |nodes| nodes[1].knows(a) == set(&[A])).await;
                let flood = std::net::UdpSocket::bind("10.1.0.1:0").unwrap();
                for length in 0..2000_usize {
                    let packet: Vec<u8> = (0..length % 1400).map(|n| (n * length) as u8).collect();
                    flood.send_to(&packet, "224.0.0.251:5353").unwrap();
                }
                flood.send_to(&[0; 9500], "224.0.0.251:5353").unwrap();
                nodes[0].listen(LATER);
                run(&mut nodes, |nodes| {
                    let refused = nodes[1].behaviour.sockets().any(|s| s.counters.refused > 0);
                    refused && nodes[1].knows(a) == set(&[A, LATER])
                })
                .await;
            });
        },
    );
}
