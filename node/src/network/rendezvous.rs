//! Finding one's network by way of strangers: a Kademlia table that others serve too.
//!
//! Every node says in the table that it provides the network's rendezvous key, and asks who
//! else does. Two nodes that know the same Kademlia peer, but neither each other nor any
//! node of the network, so find each other (O14 of
//! `docs/specs/overlay.md`). Whoever is named is dialled, and shows by identify whether it is one of us.

use std::{collections::HashMap, time::Duration};

use libp2p::{
    Multiaddr, PeerId,
    kad::{self, GetProvidersOk, QueryId, QueryResult, RecordKey, store::MemoryStore},
};
use multihash_codetable::{Code, MultihashDigest};
use rand::seq::IteratorRandom;

type Kad = kad::Behaviour<MemoryStore>;

/// The network is named by the protocol its nodes speak.
const NETWORK: &[u8] = b"/hedgerow/overlay/1.0.0";

/// How often a node that is alone asks.
pub(crate) const INTERVAL: Duration = Duration::from_secs(15);

/// A node in company asks at every 40th interval, every ten minutes: often enough to meet
/// a network that grew apart, and to keep its own record alive for those who come.
const IN_COMPANY: u32 = 40;

/// Providers looked up at a time: one of them that answers is enough to join.
const MAX_LOOKUPS: usize = 16;

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Who provides the key.
    Providers,
    /// Where this provider is.
    Address(PeerId),
}

/// What came of a query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// These peers say that they belong to the network; their addresses may be known.
    Members(Vec<PeerId>),
    /// A member can be dialled there.
    Member(PeerId, Vec<Multiaddr>),
}

/// Announces this node under the network's key, and looks for the others.
#[derive(Debug)]
pub(crate) struct Rendezvous {
    me: PeerId,
    key: RecordKey,
    queries: HashMap<QueryId, Purpose>,
    rounds: u32,
}

impl Rendezvous {
    pub(crate) fn new(me: PeerId) -> Self {
        // Other implementations take nothing but multihashes as keys of provider records.
        let key = Code::Sha2_256.digest(NETWORK).to_bytes();
        Self {
            me,
            key: RecordKey::new(&key),
            queries: HashMap::new(),
            rounds: 0,
        }
    }

    /// Counts an interval. Whether to announce and ask now.
    pub(crate) fn is_due(&mut self, alone: bool) -> bool {
        self.rounds = self.rounds.wrapping_add(1);
        alone || self.rounds.is_multiple_of(IN_COMPANY)
    }

    /// Announces this node and asks who else is there, unless that is under way.
    pub(crate) fn meet(&mut self, kad: &mut Kad) {
        let asking = self
            .queries
            .values()
            .any(|purpose| *purpose == Purpose::Providers);
        if asking {
            return;
        }
        if let Err(error) = kad.start_providing(self.key.clone()) {
            tracing::debug!(%error, "not announced in Kademlia");
        }
        let query = kad.get_providers(self.key.clone());
        self.queries.insert(query, Purpose::Providers);
    }

    /// Asks where a member is that cannot be dialled as it is known.
    pub(crate) fn look_up(&mut self, kad: &mut Kad, member: PeerId) {
        let purpose = Purpose::Address(member);
        let under_way = self.queries.values().any(|query| *query == purpose);
        if under_way || self.queries.len() > MAX_LOOKUPS {
            return;
        }
        let query = kad.get_closest_peers(member);
        self.queries.insert(query, purpose);
    }

    /// Takes in the progress of a query; those of others are none of its business.
    pub(crate) fn on_progress(
        &mut self,
        id: QueryId,
        result: QueryResult,
        last: bool,
    ) -> Option<Found> {
        let purpose = *self.queries.get(&id)?;
        if last {
            self.queries.remove(&id);
        }
        match (purpose, result) {
            (
                Purpose::Providers,
                QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })),
            ) => {
                // Another choice each time: records of the dead must not keep the living out.
                let members = providers.into_iter().filter(|member| *member != self.me);
                let members = members.sample(&mut rand::rng(), MAX_LOOKUPS);
                Some(Found::Members(members))
            }
            (Purpose::Address(member), QueryResult::GetClosestPeers(Ok(closest))) => closest
                .peers
                .into_iter()
                .find(|peer| peer.peer_id == member)
                .map(|peer| Found::Member(member, peer.addrs)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_asks_often_and_who_is_not_seldom() {
        let mut rendezvous = Rendezvous::new(PeerId::random());
        assert!((0..10).all(|_| rendezvous.is_due(true)));
        let asked = (0..2 * IN_COMPANY).filter(|_| rendezvous.is_due(false));
        assert_eq!(asked.count(), 2);
    }

    #[test]
    fn the_key_is_a_multihash() {
        let key = Rendezvous::new(PeerId::random()).key.to_vec();
        assert_eq!((&key[..2], key.len()), (&[0x12, 0x20][..], 34));
    }
}
