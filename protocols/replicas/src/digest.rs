//! What a set of items adds up to.

use guid::{Guid, Span};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::collection::{Collection, Entry, StoreError};

/// Two sets of items with equal digests are the same set.
///
/// The sum, modulo 2^128, of a 128-bit hash of each item's name and version: the order
/// does not matter, and adding an item costs one addition (R8). Somebody who may choose
/// names freely could with much work find two sets of equal sum; he would only hide his
/// own items from repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    #[serde(rename = "c")]
    pub(crate) count: u64,
    #[serde(rename = "s")]
    sum: Guid,
}

impl Digest {
    pub(crate) fn add(&mut self, entry: &Entry) {
        let hash = Sha256::new()
            .chain_update((entry.id.len() as u64).to_be_bytes())
            .chain_update(&entry.id)
            .chain_update(entry.version.to_be_bytes())
            .finalize();
        let sum = self
            .sum
            .as_u128()
            .wrapping_add(Guid::of_digest(&hash).as_u128());
        self.count += 1;
        self.sum = Guid::new(sum);
    }
}

/// Entries read from the store at a time while adding up.
const PAGE: usize = 1024;

/// Adds up what a collection keeps on an arc.
pub(crate) async fn digest_of<C: Collection>(
    collection: &C,
    span: Span,
) -> Result<Digest, StoreError> {
    let mut digest = Digest::default();
    let mut after = None;
    loop {
        let page = collection.list(span, after, PAGE).await?;
        page.iter().for_each(|entry| digest.add(entry));
        if page.len() < PAGE {
            return Ok(digest);
        }
        after = page.last().map(|entry| entry.id.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn entry(id: &'static [u8], version: u64) -> Entry {
        Entry {
            guid: Guid::hash(id),
            id: Bytes::from_static(id),
            version,
        }
    }

    fn digest(entries: &[Entry]) -> Digest {
        let mut digest = Digest::default();
        entries.iter().for_each(|entry| digest.add(entry));
        digest
    }

    #[test]
    fn order_does_not_matter_and_versions_do() {
        let (a, b, newer) = (entry(b"a", 1), entry(b"b", 1), entry(b"b", 2));
        assert_eq!(
            digest(&[a.clone(), b.clone()]),
            digest(&[b.clone(), a.clone()])
        );
        assert_ne!(digest(&[a.clone(), b]), digest(&[a, newer]));
    }
}
