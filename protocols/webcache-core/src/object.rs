//! What an object is called (Q1).

use guid::Guid;
use sha2::{Digest, Sha256};

/// The `objectId` of what the origin answers to `GET url`, where its answer varies with
/// these header fields of the request: names in lower case, each with its value. Their order
/// does not matter.
pub fn object_id<'a>(url: &str, varying: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Guid {
    let mut varying: Vec<_> = varying.into_iter().collect();
    varying.sort_unstable();
    let mut digest = Sha256::new();
    // Lengths first: no other list of texts gives the same bytes.
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    add(url.as_bytes());
    for (name, value) in varying {
        add(name.as_bytes());
        add(value);
    }
    Guid::of_digest(&digest.finalize())
}
