//! A block: bytes and the CID that names them.

use bytes::Bytes;
use cid::Cid;
use guid::Guid;
use multihash::Multihash;
use sha2::{Digest, Sha256};

/// Bytes of a block at most: what bitswap peers accept (B2).
pub const MAX_BLOCK: usize = 2 * 1024 * 1024;

/// The codec of raw bytes.
pub const RAW: u64 = 0x55;
/// The codec of UnixFS nodes.
pub const DAG_PB: u64 = 0x70;
/// The codec of records.
pub const DAG_CBOR: u64 = 0x71;

const SHA2_256: u64 = 0x12;

/// Bytes whose CID has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    cid: Cid,
    bytes: Bytes,
}

/// Why something is no block of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// More than [`MAX_BLOCK`] bytes.
    #[error("a block of {0} bytes is larger than {MAX_BLOCK}")]
    TooLarge(usize),
    /// The bytes hash to another CID.
    #[error("the bytes do not match {0}")]
    Mismatch(Cid),
    /// The CID has another version, codec or hash than those kept here.
    #[error("{0} is not a CIDv1 of raw, dag-pb or dag-cbor bytes with SHA-256")]
    Unsupported(Cid),
}

impl Block {
    /// The block with this CID; the bytes are hashed to see that they match (B1).
    pub fn new(cid: Cid, bytes: Bytes) -> Result<Block, BlockError> {
        verify(&cid, &bytes)?;
        Ok(Block { cid, bytes })
    }

    /// The block with this CID, whose bytes have been hashed already.
    pub(crate) fn trusted(cid: Cid, bytes: Bytes) -> Block {
        Block { cid, bytes }
    }

    /// The block these bytes make under a codec.
    pub fn of(codec: u64, bytes: Bytes) -> Result<Block, BlockError> {
        let cid = cid_of(codec, &bytes);
        check_kind(&cid)?;
        check_size(&bytes)?;
        Ok(Block { cid, bytes })
    }

    /// Its name.
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// Its content.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its content, given away.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Its place on the ring.
    pub fn guid(&self) -> Guid {
        guid_of(&self.cid)
    }
}

/// The place of a block on the ring.
pub fn guid_of(cid: &Cid) -> Guid {
    Guid::of_cid(&cid.to_bytes())
}

/// Whether `bytes` are the block `cid` (B1, B2).
pub fn verify(cid: &Cid, bytes: &[u8]) -> Result<(), BlockError> {
    check_kind(cid)?;
    check_size(bytes)?;
    match cid.hash().digest() == Sha256::digest(bytes).as_slice() {
        true => Ok(()),
        false => Err(BlockError::Mismatch(*cid)),
    }
}

/// Whether blocks with such a CID are kept here.
pub fn check_kind(cid: &Cid) -> Result<(), BlockError> {
    let known = cid.version() == cid::Version::V1
        && matches!(cid.codec(), RAW | DAG_PB | DAG_CBOR)
        && cid.hash().code() == SHA2_256
        && cid.hash().size() == 32;
    match known {
        true => Ok(()),
        false => Err(BlockError::Unsupported(*cid)),
    }
}

/// The CID in a name from outside; `None` when it is none, or not one that is kept.
pub(crate) fn parse_cid(bytes: &[u8]) -> Option<Cid> {
    let cid = Cid::try_from(bytes).ok()?;
    // Trailing bytes and longer varints would give one block several names.
    (check_kind(&cid).is_ok() && cid.to_bytes() == bytes).then_some(cid)
}

fn check_size(bytes: &[u8]) -> Result<(), BlockError> {
    match bytes.len() <= MAX_BLOCK {
        true => Ok(()),
        false => Err(BlockError::TooLarge(bytes.len())),
    }
}

fn cid_of(codec: u64, bytes: &[u8]) -> Cid {
    let hash = Multihash::wrap(SHA2_256, &Sha256::digest(bytes))
        .expect("a SHA-256 digest fits a multihash of 64 bytes");
    Cid::new_v1(codec, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_matches_its_cid() {
        let block = Block::of(RAW, Bytes::from_static(b"hello")).unwrap();
        assert_eq!(
            block.cid().to_string(),
            "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
        );
        assert!(Block::new(*block.cid(), Bytes::from_static(b"hello")).is_ok());
        assert_eq!(
            Block::new(*block.cid(), Bytes::from_static(b"hullo")),
            Err(BlockError::Mismatch(*block.cid()))
        );
    }

    #[test]
    fn other_kinds_and_sizes_are_refused() {
        let large = Bytes::from(vec![0; MAX_BLOCK + 1]);
        assert_eq!(
            Block::of(RAW, large),
            Err(BlockError::TooLarge(MAX_BLOCK + 1))
        );
        assert!(matches!(
            Block::of(0x51, Bytes::new()),
            Err(BlockError::Unsupported(_))
        ));
        let mut name = Block::of(RAW, Bytes::new()).unwrap().cid().to_bytes();
        assert!(parse_cid(&name).is_some());
        name.push(0);
        assert_eq!(parse_cid(&name), None);
        assert_eq!(parse_cid(b""), None);
    }
}
