//! The order in which claims are kept: along the ring, those of a block together.

use std::ops::Bound;

use cid::Cid;
use guid::{Guid, Span};

use crate::claim::is_cid;
use crate::{Claim, Tag};

const GUID: usize = 16;

/// The part of a key that is its block's.
pub(crate) type BlockKey = [u8; GUID + Claim::CID];

/// Where a claim is kept (CL10): the block's GUID, then the claim's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key([u8; Key::LEN]);

impl Key {
    pub(crate) const LEN: usize = GUID + Claim::LEN;

    pub(crate) fn of(claim: &Claim) -> Key {
        let mut key = [0xff; Key::LEN];
        let block = block_key(&claim.block);
        key[..block.len()].copy_from_slice(&block);
        key[block.len()..].copy_from_slice(&claim.tag.to_bytes());
        Key(key)
    }

    /// The lowest key of a block.
    pub(crate) fn first_of(block: &BlockKey) -> Key {
        let mut key = [0; Key::LEN];
        key[..block.len()].copy_from_slice(block);
        Key(key)
    }

    /// The highest key of a block.
    pub(crate) fn last_of(block: &Cid) -> Key {
        Key::of(&Claim {
            block: *block,
            tag: Tag::from_bytes([0xff; Tag::LEN]),
        })
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Key> {
        let key = Key(bytes.try_into().ok()?);
        let cid = key.0[GUID..].first_chunk()?;
        is_cid(cid).then_some(key)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; Key::LEN] {
        &self.0
    }

    pub(crate) fn block(&self) -> BlockKey {
        *self
            .0
            .first_chunk()
            .expect("a key begins with its block's part")
    }

    pub(crate) fn claim(&self) -> Option<Claim> {
        Claim::from_bytes(&self.0[GUID..])
    }

    fn edge(guid: Guid, rest: u8) -> Key {
        let mut key = [rest; Key::LEN];
        key[..GUID].copy_from_slice(&guid.to_bytes());
        Key(key)
    }
}

/// What the keys of a block's claims begin with.
pub(crate) fn block_key(block: &Cid) -> BlockKey {
    let mut key = [0; GUID + Claim::CID];
    key[..GUID].copy_from_slice(&blocks::guid_of(block).to_bytes());
    // Of another length it is no block of ours, and no claim of it is ever kept.
    let cid = block.to_bytes();
    let length = cid.len().min(Claim::CID);
    key[GUID..GUID + length].copy_from_slice(&cid[..length]);
    key
}

/// The bytes of the CID of the block that a key begins with.
pub(crate) fn cid_of(block: &BlockKey) -> &[u8] {
    &block[GUID..]
}

/// From where to where, as maps and keyspaces take it.
pub(crate) type Range = (Bound<Key>, Bound<Key>);

/// What is left of an arc behind `after`, in the order of the ring: nothing, one range, or two
/// where the arc passes through zero.
pub(crate) fn ranges(span: Span, after: Option<&Claim>) -> Vec<Range> {
    let (first, last) = (Key::edge(span.from, 0), Key::edge(span.to, 0xff));
    let ring = (
        Key::edge(Guid::new(0), 0),
        Key::edge(Guid::new(u128::MAX), 0xff),
    );
    let stretches = match span.from <= span.to {
        true => vec![(first, last)],
        false => vec![(first, ring.1), (ring.0, last)],
    };
    let whole = |(first, last)| (Bound::Included(first), Bound::Included(last));
    let Some(after) = after.map(Key::of) else {
        return stretches.into_iter().map(whole).collect();
    };
    let holds = |(first, last): &(Key, Key)| (*first..=*last).contains(&after);
    let Some(at) = stretches.iter().position(holds) else {
        return Vec::new();
    };
    let mut rest: Vec<Range> = stretches[at..].iter().copied().map(whole).collect();
    match stretches[at].1 > after {
        true => rest[0].0 = Bound::Excluded(after),
        // A range without a key is no range for a map.
        false => drop(rest.remove(0)),
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;
    use blocks::{Block, RAW};

    fn claim(number: u8) -> Claim {
        let block = Block::of(RAW, vec![number].into()).unwrap();
        Claim::of(*block.cid(), &Secret::from_bytes([number; 32]))
    }

    #[test]
    fn a_key_has_its_claim() {
        let claim = claim(1);
        let key = Key::of(&claim);
        assert_eq!(key.claim(), Some(claim));
        assert_eq!(Key::from_bytes(key.as_bytes()), Some(key));
        assert_eq!(Key::from_bytes(&key.as_bytes()[1..]), None);
        assert_eq!(Key::from_bytes(&[0; Key::LEN]), None);
        assert_eq!(key.block(), block_key(&claim.block));
        assert!(key < Key::last_of(&claim.block));
    }

    #[test]
    fn nothing_is_behind_the_last_key_of_an_arc() {
        let mut last = claim(1);
        last.tag = Tag::from_bytes([0xff; Tag::LEN]);
        let place = last.place();
        let one = ranges(Span::new(place, place), Some(&last));
        // No name reaches the end of a place: its CID begins with 1.
        assert_eq!(one.len(), 1);
        let above = Guid::new(place.as_u128().wrapping_add(1));
        assert!(ranges(Span::new(above, above), Some(&last)).is_empty());
        let round = ranges(Span::new(above, place), Some(&last));
        assert_eq!(round.len(), 1);
        assert_eq!(ranges(Span::new(above, place), None).len(), 2);
    }
}
