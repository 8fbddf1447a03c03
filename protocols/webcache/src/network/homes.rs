//! Who takes part, and who an object's home is (Q34).

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::stream::{self, StreamExt};
use guid::{Guid, Span};
use libp2p_identity::PeerId;
use overlay::Contact;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use webcache_core::Input;

use super::{behaviour::NoStream, exchange, node::Node};

/// So many nodes closest to an object may be its home: of them it is the closest that takes part.
pub(super) const CANDIDATES: usize = 8;

/// How long a node that takes no part is not asked again.
const MUTE: Duration = Duration::from_secs(60);

/// How long one that was silent, out of reach or talked nonsense is left out.
const AVOID: Duration = Duration::from_secs(30);

/// How long one is that sent something else than it was asked for.
const DISTRUST: Duration = Duration::from_secs(60 * 60);

/// Nodes of which something is remembered.
const MAX_KNOWN: usize = 4096;

/// How soon neighbours that could not be reached are tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// Neighbours that are tried at a time.
const TRIES: usize = 4;

/// What is known of nodes.
#[derive(Debug, Default)]
pub(super) struct Homes(Mutex<HashMap<PeerId, Known>>);

#[derive(Clone, Copy, Debug)]
enum Known {
    TakesPart,
    LeftOut(Instant),
    /// What it sent was something else, whatever it says now.
    Lied(Instant),
}

impl Known {
    fn is_left_out(self, now: Instant) -> bool {
        match self {
            Known::TakesPart => false,
            Known::LeftOut(until) | Known::Lied(until) => now < until,
        }
    }
}

impl Homes {
    pub(super) fn takes_part(&self, peer: PeerId) {
        self.put(peer, Known::TakesPart);
    }

    /// It could not be asked.
    pub(super) fn failed(&self, peer: PeerId, why: &NoStream) {
        let time = match why {
            NoStream::Unsupported => MUTE,
            NoStream::Unreachable(_) => AVOID,
        };
        self.put(peer, Known::LeftOut(Instant::now() + time));
    }

    /// What it sent had another digest than it should have.
    pub(super) fn has_lied(&self, peer: PeerId) {
        self.put(peer, Known::Lied(Instant::now() + DISTRUST));
    }

    pub(super) fn avoid(&self, peer: PeerId) {
        self.put(peer, Known::LeftOut(Instant::now() + AVOID));
    }

    fn put(&self, peer: PeerId, is: Known) {
        let mut known = self.0.lock();
        if matches!(known.get(&peer), Some(Known::Lied(until)) if Instant::now() < *until) {
            return;
        }
        if known.len() >= MAX_KNOWN && !known.contains_key(&peer) {
            let now = Instant::now();
            known.retain(|_, is| is.is_left_out(now));
            if known.len() >= MAX_KNOWN {
                return;
            }
        }
        known.insert(peer, is);
    }

    pub(super) fn is_left_out(&self, peer: PeerId) -> bool {
        let known = self.0.lock();
        let now = Instant::now();
        known.get(&peer).is_some_and(|is| is.is_left_out(now))
    }

    fn is_in(&self, peer: PeerId) -> bool {
        matches!(self.0.lock().get(&peer), Some(Known::TakesPart))
    }
}

impl Node {
    /// Whether this node may be the home of an object, as it sees the ring.
    pub(super) fn may_be_home(&self, object: Guid) -> bool {
        self.is_near(object, self.me)
    }

    /// Whether a node is so close to an object that it may be its home.
    pub(super) fn is_near(&self, object: Guid, peer: PeerId) -> bool {
        let set = self.overlay.local_replica_set(object, CANDIDATES);
        set.is_some_and(|set| set.iter().any(|contact| contact.peer == peer))
    }
}

/// Finds out which neighbours take part, and gives those that come what they are the home of now
/// (Q12).
pub(super) async fn follow(node: Arc<Node>) {
    let mut changes = node.overlay.changes();
    let mut seen: BTreeSet<PeerId> = BTreeSet::new();
    loop {
        let snapshot = node.overlay.snapshot();
        let leafs: Vec<Contact> = snapshot.leaf_set.contacts().cloned().collect();
        seen.retain(|peer| leafs.iter().any(|leaf| leaf.peer == *peer));
        let new = leafs.into_iter().filter(|leaf| !seen.contains(&leaf.peer));
        let tried: Vec<(PeerId, Option<bool>)> = stream::iter(new)
            .map(|leaf| {
                let node = &node;
                async move { (leaf.peer, try_out(node, leaf).await) }
            })
            .buffer_unordered(TRIES)
            .collect()
            .await;
        for (peer, takes_part) in tried {
            let Some(takes_part) = takes_part else {
                continue;
            };
            seen.insert(peer);
            if takes_part && let Some(span) = arc_of(&node, peer) {
                Node::input(&node, Input::Moved { span, to: peer });
            }
        }
        if let Ok(Err(_)) = timeout(AGAIN, changes.changed()).await {
            return;
        }
    }
}

/// Opens a stream: one on which nothing is asked is no question. `None` if nobody can say.
async fn try_out(node: &Node, leaf: Contact) -> Option<bool> {
    let peer = leaf.peer;
    match exchange::open(node, leaf).await {
        Ok(_) => {
            node.homes.takes_part(peer);
            Some(true)
        }
        Err(why) => {
            node.homes.failed(peer, &why);
            (why == NoStream::Unsupported).then_some(false)
        }
    }
}

/// The arc of the ring of which a neighbour is the home, among those that are known to take part.
fn arc_of(node: &Node, peer: PeerId) -> Option<Span> {
    let snapshot = node.overlay.snapshot();
    let leafs = snapshot.leaf_set.contacts();
    let taking_part = leafs.filter(|leaf| node.homes.is_in(leaf.peer));
    let guids: Vec<Guid> = taking_part
        .map(|leaf| leaf.guid)
        .chain([snapshot.me.guid])
        .collect();
    arc_among(&guids, overlay::guid_of_peer(&peer))
}

/// The arc that is closer to `of` than to all others; `None` where there is no other.
fn arc_among(guids: &[Guid], of: Guid) -> Option<Span> {
    let others = || guids.iter().filter(|guid| **guid != of);
    let after = others().map(|guid| of.clockwise_to(*guid)).min()?;
    let before = others().map(|guid| guid.clockwise_to(of)).min()?;
    let at = |offset: u128| Guid::new(of.as_u128().wrapping_add(offset));
    Some(Span::new(at((before / 2).wrapping_neg()), at(after / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arc_ends_half_way_to_the_next_on_both_sides() {
        let guids = [100, 200, 1000].map(Guid::new);
        let span = |from, to| Some(Span::new(Guid::new(from), Guid::new(to)));
        assert_eq!(arc_among(&guids, Guid::new(200)), span(150, 600));
        let around = arc_among(&guids, Guid::new(100)).unwrap();
        assert!(around.contains(Guid::new(0)) && around.contains(Guid::new(150)));
        assert!(!around.contains(Guid::new(151)));
        assert!(around.contains(Guid::new(u128::MAX)));
        let of_two = arc_among(&guids[..2], Guid::new(200)).unwrap();
        assert!(of_two.contains(Guid::new(150)) && !of_two.contains(Guid::new(149)));
        assert_eq!(arc_among(&guids[..1], Guid::new(100)), None);
    }

    #[test]
    fn who_takes_no_part_is_left_out_for_a_while() {
        let homes = Homes::default();
        let (one, other) = (PeerId::random(), PeerId::random());
        homes.failed(one, &NoStream::Unsupported);
        homes.takes_part(other);
        assert!(homes.is_left_out(one) && !homes.is_left_out(other));
        assert!(homes.is_in(other) && !homes.is_in(one));
        homes.takes_part(one);
        assert!(!homes.is_left_out(one));
        // A lie is not made good by an answer.
        homes.has_lied(one);
        homes.takes_part(one);
        homes.avoid(one);
        assert!(homes.is_left_out(one) && !homes.is_in(one));
    }
}
