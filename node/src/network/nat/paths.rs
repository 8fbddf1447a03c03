//! How a peer is connected (T11, T14).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId, core::ConnectedPoint, multiaddr::Protocol, swarm::ConnectionId};

/// How long a relayed connection stays beside a direct one: what is under way on it ends in
/// that time, or has stood still for longer than anybody waits.
const RELAYED_BESIDE_DIRECT: Duration = Duration::from_secs(30);

/// How a peer is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Without a relay.
    Direct,
    /// Over a relay alone.
    Relayed,
    /// Without a relay, by a connection that was made while there was only a relayed one.
    Upgraded,
}

/// One open connection.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The far end.
    pub(crate) address: Multiaddr,
    /// Whether this node has dialled it.
    pub(crate) dialled: bool,
    /// Whether it leads over a relay.
    pub(crate) relayed: bool,
    /// Whether it is direct and was made while there was only a relayed one.
    pub(crate) upgrade: bool,
    /// When it was made.
    pub(crate) since: Instant,
}

impl Link {
    /// A connection to a peer with which there are `others`.
    pub(crate) fn new(
        peer: PeerId,
        endpoint: &ConnectedPoint,
        others: &BTreeMap<ConnectionId, Link>,
    ) -> Self {
        let relayed = endpoint.is_relayed();
        Self {
            address: far_end(peer, endpoint),
            dialled: endpoint.is_dialer(),
            relayed,
            upgrade: !relayed && path_of(others.values()) == Some(Path::Relayed),
            since: Instant::now(),
        }
    }
}

/// Where the other end of a connection is. Of one that came over a relay the swarm knows who
/// is there and, at this end, over which relay.
fn far_end(peer: PeerId, endpoint: &ConnectedPoint) -> Multiaddr {
    match endpoint {
        ConnectedPoint::Listener { local_addr, .. } if endpoint.is_relayed() => {
            let relay = local_addr.iter();
            let relay = relay.take_while(|part| *part != Protocol::P2pCircuit);
            let circuit = [Protocol::P2pCircuit, Protocol::P2p(peer)];
            relay.chain(circuit).collect()
        }
        _ => endpoint.get_remote_address().clone(),
    }
}

/// How a peer with these connections is connected; none where there are none.
pub(crate) fn path_of<'a>(links: impl Iterator<Item = &'a Link>) -> Option<Path> {
    let each = links.map(|link| match (link.relayed, link.upgrade) {
        (true, _) => Path::Relayed,
        (false, true) => Path::Upgraded,
        (false, false) => Path::Direct,
    });
    let rank = |path: &Path| match path {
        Path::Relayed => 0,
        Path::Direct => 1,
        Path::Upgraded => 2,
    };
    each.max_by_key(rank)
}

/// The relayed connections that have been beside a direct one for long enough.
pub(crate) fn to_close(links: &BTreeMap<ConnectionId, Link>, now: Instant) -> Vec<ConnectionId> {
    let settled = |link: &Link| !link.relayed && now - link.since >= RELAYED_BESIDE_DIRECT;
    if !links.values().any(settled) {
        return Vec::new();
    }
    // One that has just come may be there because the direct one is dead.
    let relayed = links.iter().filter(|(_, link)| {
        link.relayed && now.saturating_duration_since(link.since) >= RELAYED_BESIDE_DIRECT
    });
    relayed.map(|(id, _)| *id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::core::{Endpoint, transport::PortUse};

    fn dialled(address: &str) -> ConnectedPoint {
        ConnectedPoint::Dialer {
            address: address.parse().unwrap(),
            role_override: Endpoint::Dialer,
            port_use: PortUse::Reuse,
        }
    }

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    #[test]
    fn a_direct_connection_beside_a_relayed_one_is_an_upgrade_and_ends_it_in_time() {
        let (peer, relay) = (PeerId::random(), PeerId::random());
        let direct = dialled("/ip4/10.0.0.1/tcp/4747");
        let relayed = dialled(&format!("/ip4/10.0.0.9/tcp/1/p2p/{relay}/p2p-circuit"));
        let mut links = BTreeMap::new();
        assert_eq!(path_of(links.values()), None);
        for (number, endpoint, path) in [
            (1, &relayed, Path::Relayed),
            (2, &direct, Path::Upgraded),
            (3, &direct, Path::Upgraded),
        ] {
            let link = Link::new(peer, endpoint, &links);
            links.insert(id(number), link);
            assert_eq!(path_of(links.values()), Some(path));
        }
        assert!(links[&id(2)].upgrade && !links[&id(3)].upgrade);

        let now = Instant::now();
        assert!(to_close(&links, now).is_empty());
        assert_eq!(to_close(&links, now + RELAYED_BESIDE_DIRECT), [id(1)]);
        links.retain(|number, _| *number == id(1));
        assert!(to_close(&links, now + RELAYED_BESIDE_DIRECT).is_empty());
    }

    #[test]
    fn where_a_connection_over_a_relay_comes_from_names_the_relay() {
        let (peer, relay) = (PeerId::random(), PeerId::random());
        let circuit = format!("/ip4/10.0.0.9/tcp/4747/p2p/{relay}/p2p-circuit");
        let endpoint = ConnectedPoint::Listener {
            local_addr: circuit.parse().unwrap(),
            send_back_addr: format!("/p2p/{peer}").parse().unwrap(),
        };
        let far = far_end(peer, &endpoint).to_string();
        assert_eq!(far, format!("{circuit}/p2p/{peer}"));
    }
}
