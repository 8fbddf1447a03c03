//! Discovery between nodes of one namespace.

use std::{
    collections::BTreeSet,
    future::{Future, poll_fn},
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    task::Poll,
    time::Duration,
};

use libp2p_core::{Multiaddr, transport::ListenerId};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    FromSwarm, NetworkBehaviour, NewListenAddr, ToSwarm, behaviour::ExpiredListenAddr,
};
use mdns::{Behaviour, Config, Event, Family, SocketInfo};

use crate::namespace::{self, interface, ip};

/// A behaviour with the listen addresses a swarm would tell it.
pub(crate) struct Node {
    pub(crate) peer: PeerId,
    pub(crate) behaviour: Behaviour,
    /// What its events say is known now.
    known: BTreeSet<(PeerId, Multiaddr)>,
}

impl Node {
    pub(crate) fn new(addresses: &[&str]) -> Self {
        let peer = PeerId::random();
        let mut node = Self {
            peer,
            behaviour: Behaviour::new(Config::default(), peer).unwrap(),
            known: BTreeSet::new(),
        };
        for address in addresses {
            node.listen(address);
        }
        node
    }

    pub(crate) fn listen(&mut self, address: &str) {
        let event = NewListenAddr {
            listener_id: ListenerId::next(),
            addr: &address.parse().unwrap(),
        };
        self.behaviour
            .on_swarm_event(FromSwarm::NewListenAddr(event));
    }

    fn stop_listening(&mut self, address: &str) {
        let event = ExpiredListenAddr {
            listener_id: ListenerId::next(),
            addr: &address.parse().unwrap(),
        };
        self.behaviour
            .on_swarm_event(FromSwarm::ExpiredListenAddr(event));
    }

    pub(crate) fn knows(&self, other: PeerId) -> BTreeSet<String> {
        let of_other = self.known.iter().filter(|(peer, _)| *peer == other);
        of_other.map(|(_, address)| address.to_string()).collect()
    }
}

/// Polls the nodes until `done`.
pub(crate) async fn run(nodes: &mut [Node], done: impl Fn(&[Node]) -> bool) {
    let polled = poll_fn(|cx| {
        loop {
            let mut events = false;
            for node in nodes.iter_mut() {
                while let Poll::Ready(ToSwarm::GenerateEvent(event)) = node.behaviour.poll(cx) {
                    events = true;
                    match event {
                        Event::Discovered(list) => node.known.extend(list),
                        Event::Expired(list) => {
                            for entry in list {
                                node.known.remove(&entry);
                            }
                        }
                    }
                }
            }
            if done(nodes) {
                return Poll::Ready(());
            }
            if !events {
                return Poll::Pending;
            }
        }
    });
    let timeout = tokio::time::timeout(Duration::from_secs(20), polled).await;
    if timeout.is_err() {
        for node in nodes.iter() {
            let sockets: Vec<_> = node.behaviour.sockets().collect();
            eprintln!("{} knows {:#?} on {sockets:#?}", node.peer, node.known);
        }
        panic!("not done in time");
    }
}

pub(crate) fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future);
}

pub(crate) fn set(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

const A: [&str; 6] = [
    "/ip4/127.0.0.1/tcp/1",
    "/ip4/10.1.0.1/tcp/1",
    "/ip4/10.1.0.1/udp/1/quic-v1",
    "/ip6/fd01::1/tcp/1",
    "/ip4/10.2.0.1/tcp/1",
    "/ip4/203.0.113.9/tcp/1",
];

const B: [&str; 2] = ["/ip4/10.1.0.1/tcp/2", "/ip6/fd02::1/udp/2/quic-v1"];

fn two_interfaces() {
    interface("eth1", &["10.1.0.1/24", "fd01::1/64"]);
    interface("eth2", &["10.2.0.1/24", "fd02::1/64"]);
}

#[test]
fn nodes_learn_what_each_announces_on_its_interfaces() {
    namespace::run(
        "discovery::nodes_learn_what_each_announces_on_its_interfaces",
        || {
            two_interfaces();
            block_on(async {
                let mut nodes = [Node::new(&A), Node::new(&B)];
                let (a, b) = (nodes[0].peer, nodes[1].peer);
                run(&mut nodes, |nodes| {
                    nodes[1].knows(a) == set(&A[1..5]) && nodes[0].knows(b) == set(&B)
                })
                .await;
                let families: Vec<_> = nodes[0]
                    .behaviour
                    .sockets()
                    .map(|socket| (socket.interface, socket.family))
                    .collect();
                assert_eq!(families.len(), 4, "{families:?}");
                assert!(families.contains(&("eth2".to_owned(), Family::V6)));
                assert!(nodes[0].knows(a).is_empty(), "a node found itself");
            });
        },
    );
}

#[test]
fn ipv6_alone_is_enough() {
    namespace::run("discovery::ipv6_alone_is_enough", || {
        interface("eth1", &["fd01::1/64"]);
        block_on(async {
            let mut nodes = [Node::new(&["/ip6/fd01::1/tcp/1"]), Node::new(&[])];
            let a = nodes[0].peer;
            run(&mut nodes, |nodes| !nodes[1].knows(a).is_empty()).await;
        });
    });
}

#[test]
fn an_interface_may_come_later_and_go() {
    namespace::run("discovery::an_interface_may_come_later_and_go", || {
        interface("eth1", &["10.1.0.1/24"]);
        block_on(async {
            let mut nodes = [Node::new(&A), Node::new(&B)];
            let a = nodes[0].peer;
            run(&mut nodes, |nodes| nodes[1].knows(a) == set(&A[1..3])).await;
            interface("eth2", &["10.2.0.1/24"]);
            let later = set(&[A[1], A[2], A[4]]);
            run(&mut nodes, |nodes| nodes[1].knows(a) == later).await;
            ip("link delete eth2");
            let only_eth1 = |node: &Node| node.behaviour.sockets().all(|s| s.interface == "eth1");
            run(&mut nodes, |nodes| nodes.iter().all(only_eth1)).await;
            // What is left still works.
            nodes[0].listen("/ip4/10.1.0.1/tcp/7");
            run(&mut nodes, |nodes| {
                nodes[1].knows(a).contains("/ip4/10.1.0.1/tcp/7")
            })
            .await;
        });
    });
}

#[test]
fn addresses_are_taken_back_and_so_is_a_whole_node() {
    namespace::run(
        "discovery::addresses_are_taken_back_and_so_is_a_whole_node",
        || {
            two_interfaces();
            block_on(async {
                let mut nodes = vec![Node::new(&B), Node::new(&A)];
                let a = nodes[1].peer;
                run(&mut nodes, |nodes| nodes[0].knows(a) == set(&A[1..5])).await;
                nodes[1].stop_listening(A[2]);
                let rest = set(&[A[1], A[3], A[4]]);
                run(&mut nodes, |nodes| nodes[0].knows(a) == rest).await;
                nodes.pop();
                run(&mut nodes, |nodes| nodes[0].knows(a).is_empty()).await;
            });
        },
    );
}

#[test]
fn a_packet_counts_once_whatever_the_number_of_interfaces() {
    namespace::run(
        "discovery::a_packet_counts_once_whatever_the_number_of_interfaces",
        || {
            two_interfaces();
            block_on(async {
                let mut nodes = [Node::new(&[])];
                // Its own query is looped back to each socket of its interface.
                run(&mut nodes, |nodes| {
                    let sockets: Vec<_> = nodes[0].behaviour.sockets().collect();
                    let counters = |s: &SocketInfo| (s.counters.received, s.counters.sent);
                    sockets.len() == 4 && sockets.iter().all(|s| counters(s) == (2, 2))
                })
                .await;
            });
        },
    );
}

/// A resolver that asks from a port of its own, as simple ones do.
#[test]
fn a_simple_resolver_gets_its_answer_by_unicast() {
    namespace::run(
        "discovery::a_simple_resolver_gets_its_answer_by_unicast",
        || {
            // What the machine sends to itself passes through it.
            ip("link set lo up");
            two_interfaces();
            block_on(async {
                let mut nodes = [Node::new(&A), Node::new(&B)];
                let a = nodes[0].peer;
                run(&mut nodes, |nodes| !nodes[1].knows(a).is_empty()).await;
                let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)), 0);
                let socket = UdpSocket::bind(from).unwrap();
                socket.set_nonblocking(true).unwrap();
                let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
                let query =
                    b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01";
                socket.send_to(query, "224.0.0.251:5353").await.unwrap();
                let mut answer = [0; 9000];
                let received = tokio::select! {
                    received = socket.recv_from(&mut answer) => received.unwrap().0,
                    () = run(&mut nodes, |_| false) => unreachable!("run() ends by a panic"),
                };
                // The resolver's own identifier, and its question repeated.
                assert_eq!(answer[..8], *b"\x12\x34\x84\0\0\x01\0\x01");
                assert_eq!(answer[12..received][..query.len() - 12], query[12..]);
            });
        },
    );
}
