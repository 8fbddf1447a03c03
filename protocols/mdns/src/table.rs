//! The peers that were found, their addresses, and when these expire.
//!
//! Pure: the time is an argument. Both bounds hold whatever is heard.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use tokio::time::Instant;

/// Peers remembered for each interface. A flood of invented peers must not
/// grow without bound; a real link has fewer.
pub(crate) const MAX_PEERS_PER_INTERFACE: usize = 512;

/// Addresses remembered for each peer: two transports on two families of a few
/// interfaces.
pub(crate) const MAX_ADDRESSES_PER_PEER: usize = 16;

/// The longest that anyone may have us remember an address (**M9**): the
/// 75 minutes that RFC 6762 suggests for such records.
const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(75 * 60);

/// What a packet said about a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Index of the interface on which it was heard.
    pub(crate) interface: u32,
    pub(crate) peer: PeerId,
    pub(crate) addresses: Vec<Multiaddr>,
    /// Zero takes the addresses back.
    pub(crate) time_to_live: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    peers: BTreeMap<PeerId, Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    address: Multiaddr,
    interface: u32,
    expires: Instant,
}

/// Pairs of a peer and one of its addresses.
pub(crate) type Pairs = Vec<(PeerId, Multiaddr)>;

impl Table {
    /// Takes in what was heard. Returns what is new and what is gone.
    pub(crate) fn learn(&mut self, now: Instant, finding: Finding) -> (Pairs, Pairs) {
        let Finding {
            interface,
            peer,
            addresses,
            time_to_live,
        } = finding;
        if time_to_live.is_zero() {
            return (Pairs::new(), self.forget(peer, &addresses));
        }
        if !self.peers.contains_key(&peer) && self.peers_on(interface) >= MAX_PEERS_PER_INTERFACE {
            tracing::debug!(%peer, interface, "too many peers on this interface");
            return Default::default();
        }
        let expires = now + time_to_live.min(MAX_TIME_TO_LIVE);
        let entries = self.peers.entry(peer).or_default();
        let mut new = Pairs::new();
        for address in addresses {
            if let Some(known) = entries.iter_mut().find(|entry| entry.address == address) {
                known.expires = expires;
                known.interface = interface;
            } else if entries.len() < MAX_ADDRESSES_PER_PEER {
                new.push((peer, address.clone()));
                entries.push(Entry {
                    address,
                    interface,
                    expires,
                });
            }
        }
        if entries.is_empty() {
            self.peers.remove(&peer);
        }
        (new, Pairs::new())
    }

    /// Removes what has expired and returns it.
    pub(crate) fn expire(&mut self, now: Instant) -> Pairs {
        self.remove_where(|_, entry| entry.expires <= now)
    }

    /// Removes what was heard on an interface that is gone, and returns it.
    pub(crate) fn interface_gone(&mut self, interface: u32) -> Pairs {
        self.remove_where(|_, entry| entry.interface == interface)
    }

    /// When the next address expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.peers
            .values()
            .flatten()
            .map(|entry| entry.expires)
            .min()
    }

    pub(crate) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        let entries = self.peers.get(peer).map(Vec::as_slice).unwrap_or_default();
        entries.iter().map(|entry| entry.address.clone()).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Multiaddr)> {
        let pairs = |(peer, entries)| {
            let entries: &Vec<Entry> = entries;
            entries.iter().map(move |entry| (peer, &entry.address))
        };
        self.peers.iter().flat_map(pairs)
    }

    fn forget(&mut self, peer: PeerId, addresses: &[Multiaddr]) -> Pairs {
        self.remove_where(|id, entry| *id == peer && addresses.contains(&entry.address))
    }

    fn peers_on(&self, interface: u32) -> usize {
        let on_it = |entries: &&Vec<Entry>| entries.iter().any(|e| e.interface == interface);
        self.peers.values().filter(on_it).count()
    }

    fn remove_where(&mut self, gone: impl Fn(&PeerId, &Entry) -> bool) -> Pairs {
        let mut removed = Pairs::new();
        self.peers.retain(|peer, entries| {
            entries.retain(|entry| {
                let gone = gone(peer, entry);
                if gone {
                    removed.push((*peer, entry.address.clone()));
                }
                !gone
            });
            !entries.is_empty()
        });
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(peer: PeerId, interface: u32, ports: std::ops::Range<u16>, secs: u64) -> Finding {
        let address = |port| format!("/ip4/10.77.0.2/tcp/{port}").parse().unwrap();
        Finding {
            interface,
            peer,
            addresses: ports.map(address).collect(),
            time_to_live: Duration::from_secs(secs),
        }
    }

    #[test]
    fn known_addresses_are_not_new_but_live_longer() {
        let (mut table, now, peer) = (Table::default(), Instant::now(), PeerId::random());
        assert_eq!(table.learn(now, finding(peer, 1, 1..3, 10)).0.len(), 2);
        let later = now + Duration::from_secs(5);
        assert_eq!(table.learn(later, finding(peer, 1, 1..2, 10)).0.len(), 0);
        let gone = table.expire(now + Duration::from_secs(10));
        assert_eq!(gone, [(peer, "/ip4/10.77.0.2/tcp/2".parse().unwrap())]);
        assert_eq!(table.next_expiry(), Some(later + Duration::from_secs(10)));
        assert_eq!(table.expire(later + Duration::from_secs(10)).len(), 1);
        assert_eq!((table.next_expiry(), table.peers.len()), (None, 0));
    }

    #[test]
    fn goodbye_and_vanished_interfaces_take_addresses_along() {
        let (mut table, now, peer) = (Table::default(), Instant::now(), PeerId::random());
        table.learn(now, finding(peer, 1, 1..3, 10));
        table.learn(now, finding(peer, 2, 3..4, 10));
        assert_eq!(table.learn(now, finding(peer, 1, 1..2, 0)).1.len(), 1);
        assert_eq!(table.interface_gone(1).len(), 1);
        assert_eq!(
            table.addresses(&peer),
            ["/ip4/10.77.0.2/tcp/3".parse().unwrap()]
        );
        assert!(
            table
                .learn(now, finding(PeerId::random(), 1, 1..2, 0))
                .1
                .is_empty()
        );
    }

    #[test]
    fn both_bounds_hold_and_nobody_is_remembered_for_ever() {
        let (mut table, now) = (Table::default(), Instant::now());
        for _ in 0..MAX_PEERS_PER_INTERFACE + 50 {
            table.learn(now, finding(PeerId::random(), 1, 1..100, u32::MAX.into()));
        }
        assert_eq!(table.peers.len(), MAX_PEERS_PER_INTERFACE);
        assert!(
            table
                .peers
                .values()
                .all(|entries| entries.len() == MAX_ADDRESSES_PER_PEER)
        );
        assert_eq!(
            table
                .learn(now, finding(PeerId::random(), 2, 1..2, 9))
                .0
                .len(),
            1
        );
        table.expire(now + MAX_TIME_TO_LIVE);
        assert_eq!(table.peers.len(), 0);
    }
}
