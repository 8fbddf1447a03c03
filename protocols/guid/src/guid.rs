//! The identifier itself.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::Base;

/// A point on the ring of 2^128 identifiers.
///
/// Ordered as an unsigned big-endian number; shown as 32 lower-case hex digits;
/// encoded as a string of 16 bytes (G1).
// On a 16-byte boundary each contact would have up to 15 bytes of nothing, and contacts
// are what a node has most of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(Rust, packed(8))]
pub struct Guid(u128);

impl Guid {
    /// The identifier with this numeric value.
    pub const fn new(value: u128) -> Guid {
        Guid(value)
    }

    /// Its numeric value.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The identifier whose big-endian bytes these are.
    pub const fn from_bytes(bytes: [u8; 16]) -> Guid {
        Guid(u128::from_be_bytes(bytes))
    }

    /// Its 16 bytes, most significant first.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The first 128 bits of SHA-256 of `data` (G2).
    pub fn hash(data: &[u8]) -> Guid {
        Guid::of_digest(&Sha256::digest(data))
    }

    /// The identifier of the node that owns a public key, given in libp2p's protobuf
    /// encoding. It follows from the key, so nobody can choose it freely (G3).
    pub fn of_key(encoded_public_key: &[u8]) -> Guid {
        Guid::hash(encoded_public_key)
    }

    /// The identifier of the block with a CID, given in its binary form.
    pub fn of_cid(cid: &[u8]) -> Guid {
        Guid::hash(cid)
    }

    /// The lasting identifier of what `owner` (an encoded public key) calls `name`.
    ///
    /// The key's length comes first, so that no other pair of key and name hashes to
    /// the same bytes.
    pub fn of_name(owner: &[u8], name: &str) -> Guid {
        let digest = Sha256::new()
            .chain_update((owner.len() as u64).to_be_bytes())
            .chain_update(owner)
            .chain_update(name.as_bytes())
            .finalize();
        Guid::of_digest(&digest)
    }

    /// Where an object's root number `salt` lies (G7). Root 0 is at the identifier itself,
    /// the others are spread over the ring by hashing, so that one dead or hostile root
    /// does not hide the object.
    pub fn salted(self, salt: u8) -> Guid {
        if salt == 0 {
            return self;
        }
        let digest = Sha256::new()
            .chain_update(b"hedgerow root")
            .chain_update([salt])
            .chain_update(self.to_bytes())
            .finalize();
        Guid::of_digest(&digest)
    }

    /// The identifier made of the first 16 bytes of a SHA-256 digest that is already
    /// known: a libp2p PeerId of a large key carries one.
    pub fn of_digest(digest: &[u8]) -> Guid {
        let first = digest
            .first_chunk::<16>()
            .expect("a SHA-256 digest has 32 bytes");
        Guid::from_bytes(*first)
    }

    /// The digit in `row`, counted from the most significant one; the last may have fewer
    /// bits than the others (G4).
    ///
    /// # Panics
    /// When `row` is not below [`Base::rows`].
    pub fn digit(self, row: usize, base: Base) -> usize {
        assert!(row < base.rows(), "row {row} of {} rows", base.rows());
        let before = base.bits() * row as u32;
        let bits = base.bits().min(128 - before);
        (self.0 >> (128 - before - bits)) as usize & ((1 << bits) - 1)
    }

    /// How many leading digits two identifiers share: [`Base::rows`] when equal.
    pub fn shared_prefix(self, other: Guid, base: Base) -> usize {
        if self == other {
            return base.rows();
        }
        ((self.0 ^ other.0).leading_zeros() / base.bits()) as usize
    }

    /// Steps from here to `other`, always going up and round.
    pub const fn clockwise_to(self, other: Guid) -> u128 {
        other.0.wrapping_sub(self.0)
    }

    /// Steps between the two, the shorter way round (G5).
    pub fn distance(self, other: Guid) -> u128 {
        let up = self.clockwise_to(other);
        up.min(up.wrapping_neg())
    }

    /// Which of `a` and `b` is numerically closer to this key. Of two at the same
    /// distance the smaller identifier is, so that every node names the same owner (G5).
    pub fn cmp_distance(self, a: Guid, b: Guid) -> Ordering {
        self.distance(a).cmp(&self.distance(b)).then(a.cmp(&b))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.as_u128())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Eight digits tell nodes apart in a log, 32 make it unreadable.
        write!(f, "{:08x}..", self.0 >> 96)
    }
}

/// A text that is no identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseGuidError {
    text: String,
}

impl fmt::Display for ParseGuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is no identifier: 32 hexadecimal digits are expected",
            self.text
        )
    }
}

impl std::error::Error for ParseGuidError {}

impl FromStr for Guid {
    type Err = ParseGuidError;

    fn from_str(text: &str) -> Result<Guid, ParseGuidError> {
        let refuse = || ParseGuidError {
            text: text.chars().take(80).collect(),
        };
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        u128::from_str_radix(text, 16)
            .map(Guid)
            .map_err(|_| refuse())
    }
}

impl Serialize for Guid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Guid, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Guid;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("16 bytes of an identifier")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Guid, E> {
                let bytes = bytes
                    .try_into()
                    .map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(Guid::from_bytes(bytes))
            }
        }

        deserializer.deserialize_bytes(Visitor)
    }
}
