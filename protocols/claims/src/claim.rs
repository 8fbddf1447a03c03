//! The name of a claim.

use std::fmt;

use cid::Cid;
use guid::Guid;

use crate::{Secret, Tag};

/// Names one claim, and the release that takes its place: which block, and the tag of who
/// claims it (F1). 68 bytes on the wire: the CID's 36, then the tag.
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
fn parse_cid(bytes: &[u8]) -> Option<Cid> {
    let cid = Cid::try_from(bytes).ok()?;
    // Longer varints and bytes behind it would give one claim several names.
    (blocks::check_kind(&cid).is_ok() && cid.to_bytes() == bytes).then_some(cid)
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.tag, self.block)
    }
}
