//! Learned addresses and when they expire.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::{Duration, Instant},
};

use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;

/// Most peers kept (M11): a link with more is not one that multicast serves
/// well, and it bounds what a forger can fill.
pub const MAX_PEERS: usize = 1024;

/// Most addresses kept of one peer (M11): two transports on two families over
/// four interfaces.
pub const MAX_ADDRESSES_PER_PEER: usize = 16;

/// What became of an address that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// To be reported: new, or not reported for a while (M10).
    Report,
    /// Known and reported lately.
    Refreshed,
    /// No room for it.
    Full,
}

#[derive(Debug)]
struct Address {
    expires: Instant,
    reported: Instant,
}

/// The table of learned addresses.
#[derive(Debug)]
pub(crate) struct Known {
    peers: HashMap<PeerId, HashMap<Multiaddr, Address>>,
    report_again: Duration,
    /// No entry expires before this time. It may be early, never late.
    next_expiry: Option<Instant>,
}

impl Known {
    /// An empty table that asks for addresses to be reported again when they
    /// were not for `report_again`.
    pub(crate) fn new(report_again: Duration) -> Self {
        Self {
            peers: HashMap::new(),
            report_again,
            next_expiry: None,
        }
    }

    /// Takes in that `peer` said it has `address` for the time `ttl` from `now`.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        peer: PeerId,
        address: Multiaddr,
        ttl: Duration,
    ) -> Heard {
        let peers = self.peers.len();
        let addresses = match self.peers.entry(peer) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if peers >= MAX_PEERS => return Heard::Full,
            Entry::Vacant(entry) => entry.insert(HashMap::new()),
        };
        let expires = now + ttl;
        let count = addresses.len();
        let heard = match addresses.entry(address) {
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.expires = expires;
                if now.saturating_duration_since(known.reported) < self.report_again {
                    Heard::Refreshed
                } else {
                    known.reported = now;
                    Heard::Report
                }
            }
            Entry::Vacant(_) if count >= MAX_ADDRESSES_PER_PEER => return Heard::Full,
            Entry::Vacant(entry) => {
                entry.insert(Address {
                    expires,
                    reported: now,
                });
                Heard::Report
            }
        };
        self.next_expiry = Some(self.next_expiry.map_or(expires, |next| next.min(expires)));
        heard
    }

    /// Removes an address its peer took back; whether it was known.
    pub(crate) fn forget(&mut self, peer: &PeerId, address: &Multiaddr) -> bool {
        let Some(addresses) = self.peers.get_mut(peer) else {
            return false;
        };
        let known = addresses.remove(address).is_some();
        if addresses.is_empty() {
            self.peers.remove(peer);
        }
        known
    }

    /// Removes and returns all that expired by `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(PeerId, Multiaddr)> {
        if self.next_expiry.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let mut gone = Vec::new();
        let mut next_expiry: Option<Instant> = None;
        self.peers.retain(|peer, addresses| {
            addresses.retain(|address, known| {
                if known.expires <= now {
                    gone.push((*peer, address.clone()));
                    return false;
                }
                next_expiry = Some(next_expiry.map_or(known.expires, |at| at.min(known.expires)));
                true
            });
            !addresses.is_empty()
        });
        self.next_expiry = next_expiry;
        gone
    }

    /// When [`Self::expire`] wants to be called.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    /// The known addresses of `peer`.
    pub(crate) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.peers
            .get(peer)
            .map(|addresses| addresses.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// All peers with their addresses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Multiaddr)> {
        self.peers
            .iter()
            .flat_map(|(peer, addresses)| addresses.keys().map(move |address| (peer, address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(100);

    fn address(port: usize) -> Multiaddr {
        format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap()
    }

    fn known() -> (Known, PeerId, Instant) {
        let known = Known::new(Duration::from_secs(30));
        (known, PeerId::random(), Instant::now())
    }

    #[test]
    fn an_address_expires_after_its_time_to_live() {
        let (mut known, peer, now) = known();
        assert_eq!(known.hear(now, peer, address(1), TTL), Heard::Report);
        assert_eq!(known.next_expiry(), Some(now + TTL));
        assert!(known.expire(now + TTL / 2).is_empty());
        assert_eq!(known.addresses(&peer), [address(1)]);
        assert_eq!(known.expire(now + TTL), [(peer, address(1))]);
        assert!(known.addresses(&peer).is_empty());
        assert_eq!(known.next_expiry(), None);
    }

    #[test]
    fn hearing_it_again_prolongs_it() {
        let (mut known, peer, now) = known();
        known.hear(now, peer, address(1), TTL);
        let later = now + TTL - Duration::from_secs(1);
        known.hear(later, peer, address(1), TTL);
        assert!(known.expire(now + TTL).is_empty());
        assert_eq!(known.next_expiry(), Some(later + TTL));
        assert_eq!(known.expire(later + TTL).len(), 1);
    }

    #[test]
    fn heard_again_it_is_reported_again_but_seldom() {
        let (mut known, peer, now) = known();
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(known.hear(at(0), peer, address(1), TTL), Heard::Report);
        assert_eq!(known.hear(at(29), peer, address(1), TTL), Heard::Refreshed);
        assert_eq!(known.hear(at(31), peer, address(1), TTL), Heard::Report);
        assert_eq!(known.hear(at(32), peer, address(1), TTL), Heard::Refreshed);
    }

    #[test]
    fn only_a_known_address_can_be_taken_back() {
        let (mut known, peer, now) = known();
        known.hear(now, peer, address(1), TTL);
        assert!(!known.forget(&peer, &address(2)));
        assert!(known.forget(&peer, &address(1)));
        assert!(!known.forget(&peer, &address(1)));
        assert_eq!(known.iter().count(), 0);
    }

    #[test]
    fn both_bounds_hold_and_what_is_known_stays() {
        let (mut known, peer, now) = known();
        for port in 1..=MAX_ADDRESSES_PER_PEER {
            assert_eq!(known.hear(now, peer, address(port), TTL), Heard::Report);
        }
        assert_eq!(known.hear(now, peer, address(999), TTL), Heard::Full);
        assert_eq!(known.hear(now, peer, address(1), TTL), Heard::Refreshed);

        for _ in 1..MAX_PEERS {
            let other = PeerId::random();
            assert_eq!(known.hear(now, other, address(1), TTL), Heard::Report);
        }
        assert_eq!(
            known.hear(now, PeerId::random(), address(1), TTL),
            Heard::Full
        );
        assert_eq!(known.hear(now, peer, address(2), TTL), Heard::Refreshed);
    }
}
