//! What peers want of this node (Z6 to Z9).

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use cid::{Cid, Version};
use libp2p_identity::PeerId;

use crate::bounds::{MAX_WANTS, MAX_WANTS_PER_PEER};
use crate::message::{Entry, WantType};

/// Where the blocks are that this node may give.
#[async_trait::async_trait]
pub trait Source: Send + Sync + 'static {
    /// Whether the block is here. Asked for CIDv1 only.
    async fn has(&self, cid: &Cid) -> bool;

    /// The block, if it is here. Whoever gets it hashes it, so it need not be hashed here.
    async fn get(&self, cid: &Cid) -> Option<Bytes>;
}

/// The CIDv1 under which a block is kept (Z6).
pub fn as_kept(cid: &Cid) -> Cid {
    match cid.version() {
        Version::V0 => Cid::new_v1(cid.codec(), *cid.hash()),
        Version::V1 => *cid,
    }
}

/// A want of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// As the peer names it.
    pub(crate) cid: Cid,
    pub(crate) want: WantType,
    pub(crate) send_dont_have: bool,
    number: u64,
}

#[derive(Default)]
struct List {
    wants: HashMap<Cid, Want>,
    /// Wants to look at, with their number: one that was replaced is passed over.
    due: VecDeque<(Cid, u64)>,
}

/// The wants of all peers.
#[derive(Default)]
pub(crate) struct Wants {
    lists: HashMap<PeerId, List>,
    /// Who waits for what, by the CID under which it is kept.
    waiting: HashMap<Cid, HashSet<(PeerId, Cid)>>,
    total: usize,
    next: u64,
}

impl Wants {
    /// Takes in lines of a peer's wantlist; how many did not fit (Z7).
    pub(crate) fn update(&mut self, peer: PeerId, mut entries: Vec<Entry>, full: bool) -> usize {
        if full {
            self.clear(peer);
        }
        // Stable, so that equal priorities stay in their order (Z8).
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.priority));
        let mut refused = 0;
        for entry in entries {
            if entry.cancel {
                self.remove(peer, &entry.cid);
                continue;
            }
            self.remove(peer, &entry.cid);
            let list = self.lists.entry(peer).or_default();
            if list.wants.len() >= MAX_WANTS_PER_PEER || self.total >= MAX_WANTS {
                refused += 1;
                continue;
            }
            let want = Want {
                cid: entry.cid,
                want: entry.want,
                send_dont_have: entry.send_dont_have,
                number: self.next,
            };
            self.next += 1;
            self.total += 1;
            list.wants.insert(want.cid, want);
            list.queue(want.cid, want.number);
            let waiting = self.waiting.entry(as_kept(&want.cid)).or_default();
            waiting.insert((peer, want.cid));
        }
        refused
    }

    /// The next want of a peer to look at. It stays on the list until it is answered.
    pub(crate) fn next(&mut self, peer: PeerId) -> Option<Want> {
        let list = self.lists.get_mut(&peer)?;
        while let Some((cid, number)) = list.due.pop_front() {
            let want = list.wants.get(&cid);
            if let Some(want) = want.filter(|want| want.number == number) {
                return Some(*want);
            }
        }
        None
    }

    /// Whether there is something to look at.
    pub(crate) fn has_due(&self, peer: PeerId) -> bool {
        self.lists
            .get(&peer)
            .is_some_and(|list| !list.due.is_empty())
    }

    /// The want was answered for good, unless it has been replaced meanwhile.
    pub(crate) fn answered(&mut self, peer: PeerId, want: &Want) {
        let list = self.lists.get(&peer);
        let current = list.and_then(|list| list.wants.get(&want.cid));
        if current.is_some_and(|current| current.number == want.number) {
            self.remove(peer, &want.cid);
        }
    }

    /// A block is here now; who waits for it (Z9).
    pub(crate) fn arrived(&mut self, cid: &Cid) -> Vec<PeerId> {
        let Some(waiting) = self.waiting.get(cid) else {
            return Vec::new();
        };
        let mut peers = Vec::new();
        for (peer, name) in waiting {
            if let Some(list) = self.lists.get_mut(peer)
                && let Some(want) = list.wants.get(name)
            {
                let number = want.number;
                list.queue(*name, number);
                peers.push(*peer);
            }
        }
        peers
    }

    /// Forgets a peer's list.
    pub(crate) fn clear(&mut self, peer: PeerId) {
        let Some(list) = self.lists.remove(&peer) else {
            return;
        };
        for cid in list.wants.keys() {
            self.total -= 1;
            self.wait_no_more(peer, cid);
        }
    }

    /// Wants on the list of all peers.
    pub(crate) fn len(&self) -> usize {
        self.total
    }

    fn remove(&mut self, peer: PeerId, cid: &Cid) {
        let list = self.lists.get_mut(&peer);
        if list.and_then(|list| list.wants.remove(cid)).is_some() {
            self.total -= 1;
            self.wait_no_more(peer, cid);
        }
    }

    fn wait_no_more(&mut self, peer: PeerId, cid: &Cid) {
        let kept = as_kept(cid);
        if let Some(waiting) = self.waiting.get_mut(&kept) {
            waiting.remove(&(peer, *cid));
            if waiting.is_empty() {
                self.waiting.remove(&kept);
            }
        }
    }
}

impl List {
    fn queue(&mut self, cid: Cid, number: u64) {
        // What was cancelled or replaced leaves its line behind.
        if self.due.len() >= 2 * MAX_WANTS_PER_PEER {
            let wants = &self.wants;
            let mut seen = HashSet::new();
            self.due.retain(|(cid, number)| {
                let current = wants.get(cid).is_some_and(|want| want.number == *number);
                current && seen.insert(*number)
            });
        }
        self.due.push_back((cid, number));
    }
}

#[cfg(test)]
mod tests {
    use multihash_codetable::{Code, MultihashDigest};

    use super::*;

    fn cid(number: u64) -> Cid {
        Cid::new_v1(0x55, Code::Sha2_256.digest(&number.to_be_bytes()))
    }

    fn want(number: u64) -> Entry {
        Entry::want(cid(number), WantType::Block)
    }

    fn drain(wants: &mut Wants, peer: PeerId) -> Vec<Cid> {
        std::iter::from_fn(|| wants.next(peer))
            .map(|want| want.cid)
            .collect()
    }

    #[test]
    fn higher_priorities_come_first_and_equal_ones_in_order() {
        let (mut wants, peer) = (Wants::default(), PeerId::random());
        let mut entries = vec![want(1), want(2), want(3)];
        entries[2].priority = 9;
        assert_eq!(wants.update(peer, entries, false), 0);
        assert_eq!(drain(&mut wants, peer), [cid(3), cid(1), cid(2)]);
        assert_eq!(wants.len(), 3, "what is not answered is remembered");
    }

    #[test]
    fn a_cancel_and_a_full_list_take_wants_away() {
        let (mut wants, peer) = (Wants::default(), PeerId::random());
        wants.update(peer, vec![want(1), want(2), Entry::cancel(cid(1))], false);
        assert_eq!(drain(&mut wants, peer), [cid(2)]);
        wants.update(peer, vec![want(3)], true);
        assert_eq!(drain(&mut wants, peer), [cid(3)]);
        assert_eq!(wants.len(), 1);
        wants.clear(peer);
        assert_eq!((wants.len(), wants.waiting.len()), (0, 0));
    }

    #[test]
    fn what_arrives_is_looked_at_again() {
        let (mut wants, peer) = (Wants::default(), PeerId::random());
        wants.update(peer, vec![want(1)], false);
        let first = wants.next(peer).unwrap();
        assert!(!wants.has_due(peer));
        assert_eq!(wants.arrived(&cid(1)), [peer]);
        assert_eq!(wants.next(peer), Some(first));
        wants.answered(peer, &first);
        assert!(wants.arrived(&cid(1)).is_empty());
        assert_eq!(wants.len(), 0);
    }

    #[test]
    fn an_answer_to_a_replaced_want_is_no_answer() {
        let (mut wants, peer) = (Wants::default(), PeerId::random());
        wants.update(peer, vec![Entry::want(cid(1), WantType::Have)], false);
        let old = wants.next(peer).unwrap();
        wants.update(peer, vec![want(1)], false);
        wants.answered(peer, &old);
        assert_eq!(
            wants.next(peer).map(|want| want.want),
            Some(WantType::Block)
        );
    }

    #[test]
    fn one_peer_fills_its_own_list_and_no_more() {
        let (mut wants, peer) = (Wants::default(), PeerId::random());
        let entries = (0..MAX_WANTS_PER_PEER as u64 + 7).map(want).collect();
        assert_eq!(wants.update(peer, entries, false), 7);
        // Wanting and cancelling over and over leaves nothing behind.
        for _ in 0..4 {
            let entries = (0..MAX_WANTS_PER_PEER as u64).map(want).collect();
            wants.update(peer, entries, false);
        }
        let due = wants.lists[&peer].due.len();
        assert!(due <= 2 * MAX_WANTS_PER_PEER, "{due} due");
        assert_eq!(drain(&mut wants, peer).len(), MAX_WANTS_PER_PEER);
    }

    #[test]
    fn a_v0_name_finds_the_v1_block() {
        let hash = Code::Sha2_256.digest(b"a node");
        let (v0, v1) = (Cid::new_v0(hash).unwrap(), Cid::new_v1(0x70, hash));
        let (mut wants, peer) = (Wants::default(), PeerId::random());
        wants.update(peer, vec![Entry::want(v0, WantType::Block)], false);
        wants.next(peer);
        assert_eq!(wants.arrived(&v1), [peer]);
        assert_eq!(wants.next(peer).map(|want| want.cid), Some(v0));
    }
}
