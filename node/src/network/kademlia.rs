//! What a person asks of Kademlia: who provides a key, where a peer is.
//!
//! The table of a LAN is shared with whoever speaks `/ipfs/lan/kad/1.0.0`, so what is provided here
//! other implementations find, and the other way round (A13 of `docs/specs/control-api.md`).

use std::collections::{BTreeSet, HashMap};

use libp2p::{
    Multiaddr, PeerId,
    kad::{
        self, GetClosestPeersError, GetProvidersOk, PeerInfo, QueryId, QueryResult, RecordKey,
        store::MemoryStore,
    },
};
use multihash_codetable::{Code, MultihashDigest};
use tokio::sync::oneshot;

use crate::remembered::MAX_ADDRS;

type Kad = kad::Behaviour<MemoryStore>;

/// Queries of people under way at a time: each holds streams to several peers for seconds.
const MAX_QUERIES: usize = 64;

/// Providers kept of one answer: a peer that lies about thousands fills no memory.
const MAX_PROVIDERS: usize = 256;

/// Why Kademlia has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KadError {
    /// The settings say so.
    #[error("Kademlia is switched off")]
    Off,
    /// Nobody can be asked.
    #[error("no Kademlia peer is known")]
    Alone,
    /// Everybody who should know was asked.
    #[error("not found in Kademlia")]
    NotFound,
    /// The peers did not answer in time.
    #[error("the Kademlia peers did not answer in time")]
    Timeout,
    /// See `MAX_QUERIES`.
    #[error("{MAX_QUERIES} Kademlia queries are under way")]
    TooMany,
    /// The table of provided keys is full.
    #[error("this node provides as many keys as it can")]
    Full,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, KadError>>;

/// One question of a person.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Where a peer is.
    Peer(PeerId, Reply<Vec<Multiaddr>>),
    /// Says to the peers closest to the key that this node provides it.
    Provide(RecordKey, Reply<()>),
    /// Says it no more; records with others live on until they expire.
    Unprovide(RecordKey, Reply<()>),
    /// Who provides the key.
    Providers(RecordKey, Reply<Vec<PeerId>>),
}

impl Ask {
    /// The peer that is looked for.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        match self {
            Ask::Peer(peer, _) => Some(*peer),
            Ask::Provide(..) | Ask::Unprovide(..) | Ask::Providers(..) => None,
        }
    }
}

/// Who waits for a query.
#[derive(Debug)]
enum Waiting {
    /// And where the peer is, as was learned besides.
    Peer(PeerId, Vec<Multiaddr>, Reply<Vec<Multiaddr>>),
    Provide(Reply<()>),
    Providers(BTreeSet<PeerId>, Reply<Vec<PeerId>>),
}

/// The queries under way.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    waiting: HashMap<QueryId, Waiting>,
}

/// The key of provider records that `text` names: a CID's multihash, else the SHA-256
/// multihash of the text. Other implementations take nothing but multihashes.
pub fn provider_key(text: &str) -> RecordKey {
    match text.parse::<cid::Cid>() {
        Ok(cid) => key_of_cid(&cid),
        Err(_) => RecordKey::new(&Code::Sha2_256.digest(text.as_bytes()).to_bytes()),
    }
}

/// The key under which the providers of a block are found.
pub(crate) fn key_of_cid(cid: &cid::Cid) -> RecordKey {
    RecordKey::new(&cid.hash().to_bytes())
}

impl Queries {
    /// Starts what is asked for. `kad` is none where it is switched off.
    pub(crate) fn ask(&mut self, kad: Option<&mut Kad>, ask: Ask) {
        if let Err((ask, error)) = self.start(kad, ask) {
            // Who asked may be gone.
            let _ = match ask {
                Ask::Peer(_, reply) => reply.send(Err(error)).is_ok(),
                Ask::Provide(_, reply) | Ask::Unprovide(_, reply) => reply.send(Err(error)).is_ok(),
                Ask::Providers(_, reply) => reply.send(Err(error)).is_ok(),
            };
        }
    }

    fn start(&mut self, kad: Option<&mut Kad>, ask: Ask) -> Result<(), (Ask, KadError)> {
        let Some(kad) = kad else {
            return Err((ask, KadError::Off));
        };
        if self.waiting.len() >= MAX_QUERIES {
            return Err((ask, KadError::TooMany));
        }
        // To take something back nobody has to be asked.
        let local = matches!(ask, Ask::Unprovide(..));
        if !local && kad.kbuckets().all(|bucket| bucket.is_empty()) {
            return Err((ask, KadError::Alone));
        }
        let (id, waiting) = match ask {
            Ask::Peer(peer, reply) => {
                let waiting = Waiting::Peer(peer, Vec::new(), reply);
                (kad.get_closest_peers(peer), waiting)
            }
            Ask::Provide(key, reply) => match kad.start_providing(key.clone()) {
                Ok(id) => (id, Waiting::Provide(reply)),
                Err(_) => return Err((Ask::Provide(key, reply), KadError::Full)),
            },
            Ask::Providers(key, reply) => {
                let waiting = Waiting::Providers(BTreeSet::new(), reply);
                (kad.get_providers(key), waiting)
            }
            Ask::Unprovide(key, reply) => {
                kad.stop_providing(&key);
                let _ = reply.send(Ok(()));
                return Ok(());
            }
        };
        self.waiting.insert(id, waiting);
        Ok(())
    }

    /// Notes where a peer is that may be looked for. A peer is asked for itself in the end, and
    /// some answer that without an address, which replaces what others have said.
    pub(crate) fn learn(&mut self, who: PeerId, addrs: &[Multiaddr]) {
        for waiting in self.waiting.values_mut() {
            if let Waiting::Peer(peer, learned, _) = waiting
                && *peer == who
            {
                let new = addrs.iter().filter(|addr| !learned.contains(addr));
                let new: Vec<Multiaddr> = new.cloned().collect();
                learned.extend(new);
                learned.truncate(MAX_ADDRS);
            }
        }
    }

    /// Takes in the progress of a query of ours and answers who waits; gives back that of
    /// others.
    pub(crate) fn on_progress(
        &mut self,
        id: QueryId,
        result: QueryResult,
        last: bool,
    ) -> Option<QueryResult> {
        let Some(waiting) = self.waiting.remove(&id) else {
            return Some(result);
        };
        match (waiting, result) {
            (Waiting::Providers(mut found, reply), QueryResult::GetProviders(result)) => {
                let late = result.is_err();
                if let Ok(GetProvidersOk::FoundProviders { providers, .. }) = result {
                    let room = MAX_PROVIDERS.saturating_sub(found.len());
                    found.extend(providers.into_iter().take(room));
                }
                if last {
                    let _ = reply.send(providers_of(found, late));
                } else {
                    self.waiting.insert(id, Waiting::Providers(found, reply));
                }
            }
            (Waiting::Peer(peer, learned, reply), QueryResult::GetClosestPeers(result)) => {
                let (peers, missing) = match result {
                    Ok(closest) => (closest.peers, KadError::NotFound),
                    Err(GetClosestPeersError::Timeout { peers, .. }) => (peers, KadError::Timeout),
                };
                let _ = reply.send(addrs_of(peer, peers, learned).ok_or(missing));
            }
            (Waiting::Provide(reply), result) => {
                let _ = reply.send(match result {
                    QueryResult::StartProviding(Ok(_)) => Ok(()),
                    _ => Err(KadError::Timeout),
                });
            }
            // A query answers with what it was started for and nothing else.
            (waiting, _) => drop(waiting),
        }
        None
    }
}

fn providers_of(found: BTreeSet<PeerId>, late: bool) -> Result<Vec<PeerId>, KadError> {
    match (found.is_empty(), late) {
        (false, _) => Ok(found.into_iter().collect()),
        (true, true) => Err(KadError::Timeout),
        (true, false) => Err(KadError::NotFound),
    }
}

/// The addresses of a peer that is among those who answered.
fn addrs_of(
    peer: PeerId,
    closest: Vec<PeerInfo>,
    learned: Vec<Multiaddr>,
) -> Option<Vec<Multiaddr>> {
    let found = closest.into_iter().find(|found| found.peer_id == peer)?;
    let mut addrs = match found.addrs.is_empty() {
        true => learned,
        false => found.addrs,
    };
    addrs.truncate(MAX_ADDRS);
    (!addrs.is_empty()).then_some(addrs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kad() -> Kad {
        let me = PeerId::random();
        Kad::new(me, MemoryStore::new(me))
    }

    #[test]
    fn a_cid_and_its_codec_do_not_matter_but_its_hash_does() {
        let raw = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        let hash = raw.parse::<cid::Cid>().unwrap().hash().to_bytes();
        assert_eq!(provider_key(raw).to_vec(), hash);
        let dag_pb = cid::Cid::new_v1(0x70, *raw.parse::<cid::Cid>().unwrap().hash());
        assert_eq!(provider_key(&dag_pb.to_string()).to_vec(), hash);
    }

    #[test]
    fn any_text_is_a_key() {
        let key = provider_key("a name").to_vec();
        assert_eq!((&key[..2], key.len()), (&[0x12, 0x20][..], 34));
        assert_ne!(provider_key("another").to_vec(), key);
    }

    #[test]
    fn nobody_is_asked_where_there_is_no_table_or_nobody_in_it() {
        let mut kad = kad();
        let mut queries = Queries::default();
        let (reply, mut answer) = oneshot::channel();
        queries.ask(None, Ask::Providers(provider_key("x"), reply));
        assert_eq!(answer.try_recv().unwrap(), Err(KadError::Off));
        let (reply, mut answer) = oneshot::channel();
        queries.ask(Some(&mut kad), Ask::Peer(PeerId::random(), reply));
        assert_eq!(answer.try_recv().unwrap(), Err(KadError::Alone));
        let (reply, mut answer) = oneshot::channel();
        queries.ask(Some(&mut kad), Ask::Unprovide(provider_key("x"), reply));
        assert_eq!(answer.try_recv().unwrap(), Ok(()));
    }

    #[test]
    fn a_peer_that_hides_its_addresses_is_where_it_was_dialled() {
        let peer = PeerId::random();
        let addr: Multiaddr = "/ip4/10.0.0.1/tcp/1".parse().unwrap();
        let told: Multiaddr = "/ip4/10.0.0.2/tcp/1".parse().unwrap();
        let answered = |addrs: &[Multiaddr]| {
            vec![PeerInfo {
                peer_id: peer,
                addrs: addrs.to_vec(),
            }]
        };
        let learned = || vec![addr.clone()];
        assert_eq!(
            addrs_of(peer, answered(&[]), learned()),
            Some(vec![addr.clone()])
        );
        assert_eq!(
            addrs_of(peer, answered(std::slice::from_ref(&told)), learned()),
            Some(vec![told])
        );
        assert_eq!(addrs_of(peer, answered(&[]), vec![]), None);
        // Who has not answered is not found, whatever else is known.
        assert_eq!(addrs_of(peer, vec![], learned()), None);
    }

    #[test]
    fn there_is_an_end_to_what_is_asked_at_a_time() {
        let mut kad = kad();
        kad.add_address(&PeerId::random(), "/ip4/10.0.0.1/tcp/1".parse().unwrap());
        let mut queries = Queries::default();
        let mut answers = Vec::new();
        for _ in 0..=MAX_QUERIES {
            let (reply, answer) = oneshot::channel();
            queries.ask(Some(&mut kad), Ask::Peer(PeerId::random(), reply));
            answers.push(answer);
        }
        let refused: Vec<_> = answers
            .iter_mut()
            .filter_map(|answer| answer.try_recv().ok())
            .collect();
        assert_eq!(refused, [Err(KadError::TooMany)]);
    }
}
