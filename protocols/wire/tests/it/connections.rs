//! Which of several connections to a peer is used.

use libp2p_core::{ConnectedPoint, Endpoint, transport::PortUse};
use libp2p_identity::PeerId;
use libp2p_swarm::ConnectionId;
use wire::Connections;

fn dialled(address: &str) -> ConnectedPoint {
    ConnectedPoint::Dialer {
        address: address.parse().expect("a multiaddress"),
        role_override: Endpoint::Dialer,
        port_use: PortUse::Reuse,
    }
}

fn id(number: usize) -> ConnectionId {
    ConnectionId::new_unchecked(number)
}

#[test]
fn a_direct_connection_is_used_before_a_relayed_one() {
    let (peer, relay) = (PeerId::random(), PeerId::random());
    let direct = dialled("/ip4/10.0.0.1/tcp/4747");
    let relayed = dialled(&format!("/ip4/10.0.0.9/tcp/4747/p2p/{relay}/p2p-circuit"));
    let mut connections = Connections::default();
    assert_eq!(connections.oldest(&peer), None);

    connections.add(peer, id(1), &relayed);
    let outdone = connections.outdone(&peer, id(1));
    assert_eq!(connections.oldest(&peer), Some(id(1)));
    assert_eq!(connections.newest(&peer), Some(id(1)));
    assert!(!outdone.is_set());

    for number in [2, 3] {
        connections.add(peer, id(number), &direct);
    }
    connections.add(peer, id(4), &relayed);
    assert_eq!(connections.oldest(&peer), Some(id(2)));
    assert_eq!(connections.newest(&peer), Some(id(3)));
    assert!(outdone.is_set());
    assert!(!connections.outdone(&peer, id(2)).is_set());
    assert_eq!(connections.all(&peer).count(), 4);

    assert!(!connections.remove(peer, id(2)));
    assert!(!connections.remove(peer, id(3)));
    assert!(!outdone.is_set(), "there is no better one any more");
    assert_eq!(connections.oldest(&peer), Some(id(1)));
    assert!(!connections.remove(peer, id(1)));
    assert!(connections.remove(peer, id(4)));
    assert!(!connections.contains(&peer));
    assert!(!connections.remove(peer, id(4)));
}
