//! The name of a claim.

use std::fmt;

use cid::Cid;
use guid::Guid;

use crate::{Secret, Tag};

/// Names one claim, and the release that takes its place: which block, and the tag of who
/// claims it (CL1). 68 bytes on the wire: the CID's 36, then the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The block that is claimed.
    pub block: Cid,
    /// Tells it apart from other claims of the block.
    pub tag: Tag,
}

impl Claim {
    /// Length of a block's CID in bytes, as of all that are kept.
    pub(crate) const CID: usize = 36;

    /// Length of a claim's name in bytes.
    pub const LEN: usize = Claim::CID + Tag::LEN;

    /// The claim of who has `secret`.
    pub fn of(block: Cid, secret: &Secret) -> Claim {
        Claim {
            block,
            tag: secret.tag(&block),
        }
    }

    /// Where it is kept: at the block's place.
    pub fn place(&self) -> Guid {
        blocks::guid_of(&self.block)
    }

    /// Its name. Of a block that is no block of ours (see [`blocks::check_kind`]), a name that
    /// [`Claim::from_bytes`] refuses.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.block.to_bytes();
        bytes.extend_from_slice(&self.tag.to_bytes());
        bytes
    }

    /// The claim with this name; none when it is no name of one. A claim has one name.
    pub fn from_bytes(bytes: &[u8]) -> Option<Claim> {
        let bytes: &[u8; Claim::LEN] = bytes.try_into().ok()?;
        let (cid, tag) = bytes.split_first_chunk::<{ Claim::CID }>()?;
        Some(Claim {
            block: parse_cid(cid)?,
            tag: Tag::from_bytes(tag.try_into().ok()?),
        })
    }
}

/// The CID in bytes from outside; none when it is not one of a block that is kept.
fn parse_cid(bytes: &[u8; Claim::CID]) -> Option<Cid> {
    match is_cid(bytes) {
        true => Cid::try_from(&bytes[..]).ok(),
        false => None,
    }
}

/// Whether these are the bytes of a CID that [`blocks::check_kind`] takes, told without making
/// one: a start looks at millions.
pub(crate) fn is_cid(bytes: &[u8; Claim::CID]) -> bool {
    let codecs = [blocks::RAW, blocks::DAG_PB, blocks::DAG_CBOR];
    // CIDv1, codec, SHA-256 of 32 bytes: each a varint of one byte.
    matches!(bytes, [1, codec, 0x12, 32, ..] if codecs.contains(&u64::from(*codec)))
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.tag, self.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cid_is_one_that_blocks_have() {
        let block = blocks::Block::of(blocks::RAW, Vec::new().into()).unwrap();
        let whole: [u8; Claim::CID] = block.cid().to_bytes().try_into().unwrap();
        for at in 0..6 {
            for byte in 0..=u8::MAX {
                let mut bytes = whole;
                bytes[at] = byte;
                let cid = Cid::try_from(&bytes[..]).ok();
                let cid = cid.filter(|cid| blocks::check_kind(cid).is_ok());
                // Longer varints and bytes behind it would give one claim several names.
                let cid = cid.filter(|cid| cid.to_bytes() == bytes);
                assert_eq!(parse_cid(&bytes), cid, "{bytes:x?}");
            }
        }
    }
}
