//! Discovery between this crate and `libp2p-mdns`, both ways.

use std::{future::poll_fn, task::Poll, time::Duration};

use libp2p_core::{Multiaddr, transport::ListenerId};
use libp2p_identity::PeerId;
use libp2p_swarm::{FromSwarm, NetworkBehaviour, NewListenAddr, ToSwarm};

use crate::{
    discovery::block_on,
    namespace::{self, interface},
};

fn listen(behaviour: &mut impl NetworkBehaviour, address: &Multiaddr) {
    let event = NewListenAddr {
        listener_id: ListenerId::next(),
        addr: address,
    };
    behaviour.on_swarm_event(FromSwarm::NewListenAddr(event));
}

async fn find_each_other(ipv6: bool, ours: &str, theirs: &str) {
    let (our_peer, their_peer) = (PeerId::random(), PeerId::random());
    let (ours, theirs): (Multiaddr, Multiaddr) = (ours.parse().unwrap(), theirs.parse().unwrap());
    let mut our = mdns::Behaviour::new(mdns::Config::default(), our_peer).unwrap();
    listen(&mut our, &ours);
    let config = libp2p_mdns::Config {
        enable_ipv6: ipv6,
        ..libp2p_mdns::Config::default()
    };
    let mut their = libp2p_mdns::tokio::Behaviour::new(config, their_peer).unwrap();
    listen(&mut their, &theirs);

    let (mut we_found, mut they_found) = (false, false);
    let polled = poll_fn(|cx| {
        while let Poll::Ready(ToSwarm::GenerateEvent(event)) = our.poll(cx) {
            if let mdns::Event::Discovered(list) = event {
                we_found |= list.contains(&(their_peer, theirs.clone()));
            }
        }
        while let Poll::Ready(event) = their.poll(cx) {
            if let ToSwarm::GenerateEvent(libp2p_mdns::Event::Discovered(list)) = event {
                let ours = ours.clone().with_p2p(our_peer).unwrap();
                they_found |= list.contains(&(our_peer, ours));
            }
        }
        if we_found && they_found {
            return Poll::Ready(());
        }
        Poll::Pending
    });
    let result = tokio::time::timeout(Duration::from_secs(20), polled).await;
    assert!(
        result.is_ok(),
        "we found: {we_found}, they found: {they_found}"
    );
}

#[test]
fn on_ipv4() {
    namespace::run("rust_libp2p::on_ipv4", || {
        interface("eth1", &["10.1.0.1/24"]);
        let (ours, theirs) = ("/ip4/10.1.0.1/tcp/1", "/ip4/10.1.0.1/tcp/2");
        block_on(find_each_other(false, ours, theirs));
    });
}

#[test]
fn on_ipv6() {
    namespace::run("rust_libp2p::on_ipv6", || {
        interface("eth1", &["fd01::1/64"]);
        let (ours, theirs) = ("/ip6/fd01::1/tcp/1", "/ip6/fd01::1/tcp/2");
        block_on(find_each_other(true, ours, theirs));
    });
}
