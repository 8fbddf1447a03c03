//! What a record is one version of.

use std::fmt;

use guid::{Guid, Span};
use libp2p_identity::PublicKey;

/// One publisher's place under one key (D4): all its records there replace one another.
///
/// Ordered by key, so that one key's items are neighbours. 32 bytes on the wire: the
/// key, then the publisher's GUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// The key the record stands under; it decides which nodes keep it.
    pub key: Guid,
    /// The GUID of the publisher's public key.
    pub publisher: Guid,
}

impl Item {
    /// Length of an item's name in bytes.
    pub const LEN: usize = 32;

    /// The place of `publisher` under `key`.
    pub fn of(key: Guid, publisher: &PublicKey) -> Item {
        Item {
            key,
            publisher: Guid::of_key(&publisher.encode_protobuf()),
        }
    }

    /// Its name: 16 bytes of key, 16 bytes of publisher.
    pub fn to_bytes(self) -> [u8; Item::LEN] {
        let mut bytes = [0; Item::LEN];
        bytes[..16].copy_from_slice(&self.key.to_bytes());
        bytes[16..].copy_from_slice(&self.publisher.to_bytes());
        bytes
    }

    /// The item with this name; none when it has not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Item> {
        let bytes: &[u8; Item::LEN] = bytes.try_into().ok()?;
        let (key, publisher) = bytes.split_first_chunk::<16>()?;
        Some(Item {
            key: Guid::from_bytes(*key),
            publisher: Guid::from_bytes(publisher.try_into().ok()?),
        })
    }

    /// The first item whose key is `key` or above.
    pub(crate) const fn first_at(key: Guid) -> Item {
        Item {
            key,
            publisher: Guid::new(0),
        }
    }

    /// The last item whose key is `key` or below.
    pub(crate) const fn last_at(key: Guid) -> Item {
        Item {
            key,
            publisher: Guid::new(u128::MAX),
        }
    }
}

/// The stretches of items, in the order of the ring, that are left of `span` after the
/// item `after`: none, one, or two where the arc passes through zero.
pub(crate) fn stretches(span: Span, after: Option<Item>) -> Vec<(Item, Item)> {
    let (first, last) = (Item::first_at(span.from), Item::last_at(span.to));
    let all = if span.from <= span.to {
        vec![(first, last)]
    } else {
        vec![
            (first, Item::last_at(Guid::new(u128::MAX))),
            (Item::first_at(Guid::new(0)), last),
        ]
    };
    let Some(after) = after else {
        return all;
    };
    let Some(at) = all
        .iter()
        .position(|(first, last)| (*first..=*last).contains(&after))
    else {
        return Vec::new();
    };
    let mut rest = all[at..].to_vec();
    match successor(after) {
        Some(next) if next <= rest[0].1 => rest[0].0 = next,
        _ => {
            rest.remove(0);
        }
    }
    rest
}

/// The item that follows directly; none after the last of the ring.
fn successor(item: Item) -> Option<Item> {
    match item.publisher.as_u128().checked_add(1) {
        Some(publisher) => Some(Item {
            publisher: Guid::new(publisher),
            ..item
        }),
        None => Some(Item::first_at(Guid::new(
            item.key.as_u128().checked_add(1)?,
        ))),
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.key, self.publisher)
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?}", self.key, self.publisher)
    }
}
