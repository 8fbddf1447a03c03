//! The prefix of a block, which with its bytes makes its CID (Z5).

use cid::{Cid, Version};
use multihash_codetable::{Code, MultihashDigest};
use unsigned_varint::{decode, encode};

/// The codec that a CIDv0 stands for.
const DAG_PB: u64 = 0x70;

/// Everything of a CID but the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Of the CID.
    pub version: Version,
    /// Of its content.
    pub codec: u64,
    /// Code of the hash function.
    pub hash: u64,
    /// Bytes of the digest.
    pub length: u64,
}

impl Prefix {
    /// The prefix of a CID.
    pub fn of(cid: &Cid) -> Prefix {
        Prefix {
            version: cid.version(),
            codec: cid.codec(),
            hash: cid.hash().code(),
            length: u64::from(cid.hash().size()),
        }
    }

    /// Reads four varints, and nothing behind them; `None` for anything else, and for an
    /// unknown version.
    pub fn decode(bytes: &[u8]) -> Option<Prefix> {
        let (version, rest) = decode::u64(bytes).ok()?;
        let (codec, rest) = decode::u64(rest).ok()?;
        let (hash, rest) = decode::u64(rest).ok()?;
        let (length, rest) = decode::u64(rest).ok()?;
        let version = match version {
            0 => Version::V0,
            1 => Version::V1,
            _ => return None,
        };
        rest.is_empty().then_some(Prefix {
            version,
            codec,
            hash,
            length,
        })
    }

    /// Four varints.
    pub fn encode(&self) -> Vec<u8> {
        let version = match self.version {
            Version::V0 => 0,
            Version::V1 => 1,
        };
        let mut bytes = Vec::with_capacity(8);
        for number in [version, self.codec, self.hash, self.length] {
            let mut buffer = encode::u64_buffer();
            bytes.extend_from_slice(encode::u64(number, &mut buffer));
        }
        bytes
    }

    /// The CID of `data` under this prefix; `None` for a hash function that is not known
    /// here or a digest that is cut short.
    pub fn cid(&self, data: &[u8]) -> Option<Cid> {
        let hash = Code::try_from(self.hash).ok()?.digest(data);
        if u64::from(hash.size()) != self.length {
            return None;
        }
        match self.version {
            Version::V0 if self.codec == DAG_PB => Cid::new_v0(hash).ok(),
            Version::V0 => None,
            Version::V1 => Some(Cid::new_v1(self.codec, hash)),
        }
    }
}
