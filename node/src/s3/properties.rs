//! What S3 says of a version beside its content: a block that the version's record names
//! (K4).

use std::collections::BTreeMap;

use cid::Cid;
use multihash_codetable::{Code, MultihashDigest};
use serde::{Deserialize, Serialize};

/// The format that is written and read.
const FORMAT: u64 = 1;

/// Longest block that is read as properties.
const MAX_BLOCK: usize = 32 * 1024;

/// Bytes of names and values of a person's metadata, as S3 has it.
pub(super) const MAX_METADATA: usize = 2 * 1024;

/// Bytes of type, encoding and the like, together.
pub(super) const MAX_HEADERS: usize = 8 * 1024;

const DAG_CBOR: u64 = 0x71;

/// What is said of a version. In the order of DAG-CBOR: by length, then by bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Properties {
    pub(super) v: u64,
    /// The version that this one brings back; of what is said here, all is said of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<Cid>,
    /// Tag of the content, without quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    /// A person's metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) meta: BTreeMap<String, String>,
    /// Written while the bucket kept no versions.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) null: bool,
    /// Checksums of the content by their algorithm, base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) sums: BTreeMap<String, String>,
    /// When the version was made that this one brings back, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<u64>,
    /// Versions that are shown no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) hides: Vec<Cid>,
    /// A removal that is shown though it is a null version.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) marker: bool,
    /// `content-type` and the like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Properties {
    /// The block and its name.
    pub(super) fn encode(&self) -> (Cid, Vec<u8>) {
        let whole = Properties {
            v: FORMAT,
            ..self.clone()
        };
        let bytes = serde_ipld_dagcbor::to_vec(&whole)
            .expect("a map of texts, numbers and CIDs has a DAG-CBOR encoding");
        let cid = Cid::new_v1(DAG_CBOR, Code::Sha2_256.digest(&bytes));
        (cid, bytes)
    }

    /// Reads a block; none where it is of another form, which says nothing to S3.
    pub(super) fn decode(bytes: &[u8]) -> Option<Properties> {
        if bytes.len() > MAX_BLOCK {
            return None;
        }
        let read: Properties = serde_ipld_dagcbor::from_slice(bytes).ok()?;
        (read.v == FORMAT).then_some(read)
    }

    /// Whether the version is none of its own: it only changes which ones are shown.
    pub(super) fn is_edit(&self) -> bool {
        !self.hides.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_survive_their_encoding() {
        let (cid, bytes) = Properties::default().encode();
        let read = Properties::decode(&bytes).unwrap();
        assert_eq!(read.encode(), (cid, bytes));
        let all = Properties {
            v: FORMAT,
            of: Some(cid),
            etag: Some("5d41402abc4b2a76b9719d911017c592".into()),
            meta: [("mtime".to_owned(), "1.5".to_owned())].into(),
            null: true,
            sums: [("CRC32".to_owned(), "NhCmhg==".to_owned())].into(),
            time: Some(2_000_000_000_000),
            hides: vec![cid],
            marker: true,
            headers: [("content-type".to_owned(), "text/plain".to_owned())].into(),
        };
        let (_, bytes) = all.encode();
        assert_eq!(Properties::decode(&bytes), Some(all));
        // The largest that is written is one that is read.
        let largest = Properties {
            meta: [("k".repeat(MAX_METADATA), String::new())].into(),
            headers: [("h".repeat(MAX_HEADERS), String::new())].into(),
            ..Properties::default()
        };
        assert!(Properties::decode(&largest.encode().1).is_some());
    }

    #[test]
    fn other_blocks_say_nothing() {
        for bytes in [&b""[..], b"\xa0", b"nonsense", &[0; MAX_BLOCK + 1]] {
            assert_eq!(Properties::decode(bytes), None);
        }
    }
}
