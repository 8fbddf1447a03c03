//! Hashing, and getting blocks that match their hash (rules U1 and U10).

use bytes::Bytes;
use cid::Cid;
use multihash_codetable::{Code, MultihashDigest};

use crate::blocks::BlockSource;
use crate::dagpb::Node;
use crate::error::{ExportError, Malformed};
use crate::profile::MAX_BLOCK;

/// Multicodec of a block that is nothing but bytes.
pub(crate) const RAW: u64 = 0x55;
/// Multicodec of a dag-pb node.
pub(crate) const DAG_PB: u64 = 0x70;
/// Multihash that carries the bytes instead of their hash.
const IDENTITY: u64 = 0x00;

/// Below this many bytes, hashing takes less time than handing it to another thread.
const HASH_INLINE: usize = 64 * 1024;

/// The CIDv1 of some bytes (rule U1).
pub(crate) fn sha256_cid(codec: u64, bytes: &[u8]) -> Cid {
    Cid::new_v1(codec, Code::Sha2_256.digest(bytes))
}

/// Like [`sha256_cid`], off the runtime's threads if it is much work.
pub(crate) async fn hash_chunk(bytes: Bytes) -> (Cid, Bytes) {
    if bytes.len() < HASH_INLINE {
        return (sha256_cid(RAW, &bytes), bytes);
    }
    let hash = move || (sha256_cid(RAW, &bytes), bytes);
    tokio::task::spawn_blocking(hash)
        .await
        .expect("hashing does not panic and is not aborted")
}

/// Whether the bytes have the hash in the CID (rule U10).
pub(crate) fn verify(cid: &Cid, bytes: &[u8]) -> Result<(), Malformed> {
    let wanted = cid.hash();
    if wanted.code() == IDENTITY {
        return if wanted.digest() == bytes {
            Ok(())
        } else {
            Err(Malformed::Hash)
        };
    }
    let code = Code::try_from(wanted.code()).map_err(|_| Malformed::UnknownHash(wanted.code()))?;
    if code.digest(bytes) == *wanted {
        Ok(())
    } else {
        Err(Malformed::Hash)
    }
}

/// Gets a block and verifies it.
pub(crate) async fn fetch<S: BlockSource + ?Sized>(
    source: &S,
    cid: &Cid,
) -> Result<Bytes, ExportError> {
    if !matches!(cid.codec(), RAW | DAG_PB) {
        return Err(ExportError::malformed(
            cid,
            Malformed::UnknownCodec(cid.codec()),
        ));
    }
    if cid.hash().code() == IDENTITY {
        return Ok(Bytes::copy_from_slice(cid.hash().digest()));
    }
    let bytes = source
        .get(cid)
        .await
        .map_err(|source| ExportError::Source { cid: *cid, source })?;
    if bytes.len() > MAX_BLOCK {
        return Err(ExportError::malformed(cid, Malformed::TooLong));
    }
    let verified = if bytes.len() < HASH_INLINE {
        verify(cid, &bytes)
    } else {
        let (cid, bytes) = (*cid, bytes.clone());
        tokio::task::spawn_blocking(move || verify(&cid, &bytes))
            .await
            .expect("hashing does not panic and is not aborted")
    };
    verified.map_err(|reason| ExportError::malformed(cid, reason))?;
    Ok(bytes)
}

/// A block, read.
pub(crate) enum Fetched {
    /// A raw block.
    Raw(Bytes),
    /// A dag-pb node.
    Node(Node),
}

/// Gets a block, verifies and reads it.
pub(crate) async fn fetch_node<S: BlockSource + ?Sized>(
    source: &S,
    cid: &Cid,
) -> Result<Fetched, ExportError> {
    let bytes = fetch(source, cid).await?;
    parse(cid, bytes)
}

/// Reads a block that has been verified.
pub(crate) fn parse(cid: &Cid, bytes: Bytes) -> Result<Fetched, ExportError> {
    if cid.codec() == RAW {
        return Ok(Fetched::Raw(bytes));
    }
    let node = Node::from_bytes(bytes).map_err(|reason| ExportError::malformed(cid, reason))?;
    Ok(Fetched::Node(node))
}
