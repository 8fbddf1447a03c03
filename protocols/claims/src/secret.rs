//! What shows that a claim is one's own.

use std::fmt;

use cid::Cid;
use sha2::{Digest, Sha256};

/// What precedes the hashed bytes of a tag (CL2): it is the hash of nothing else.
pub const TAG_DOMAIN: &[u8] = b"hedgerow/claims/1\0";

/// What who claims keeps for itself, and gives away with the release (CL2, CL3). One secret may
/// stand for many blocks only as long as none of them is released.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; Secret::LEN]);

impl Secret {
    /// Its length in bytes.
    pub const LEN: usize = 32;

    /// A new one.
    pub fn random() -> Secret {
        Secret(rand::random())
    }

    /// The secret of these bytes.
    pub const fn from_bytes(bytes: [u8; Secret::LEN]) -> Secret {
        Secret(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; Secret::LEN] {
        self.0
    }

    /// The tag of who claims `block` with this secret.
    pub fn tag(&self, block: &Cid) -> Tag {
        let mut hash = Sha256::new_with_prefix(TAG_DOMAIN);
        hash.update(block.to_bytes());
        hash.update(self.0);
        Tag(hash.finalize().into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Tells claims of one block apart, and nobody who made them (CL2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; Tag::LEN]);

impl Tag {
    /// Its length in bytes.
    pub const LEN: usize = 32;

    /// The tag of these bytes.
    pub const fn from_bytes(bytes: [u8; Tag::LEN]) -> Tag {
        Tag(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; Tag::LEN] {
        self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}
