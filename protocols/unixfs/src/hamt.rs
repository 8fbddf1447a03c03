//! Directories as hash array mapped tries (rule U7).
//!
//! Source: the UnixFS specification, section "HAMT sharded directories". The hash of a name is read
//! byte by byte from its most significant end; each byte is a branch.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::balanced::Subtree;
use crate::blocks::BlockSink;
use crate::dagpb::{Link, Node};
use crate::data::{Data, DataType};
use crate::error::ImportError;
use crate::import::Context;
use crate::murmur3::murmur3_x64_64;
use crate::profile::HAMT_FANOUT;

/// Multihash code of murmur3-x64-64.
pub(crate) const MURMUR3: u64 = 0x22;

/// Levels that a 64-bit hash has branches of one byte for.
pub(crate) const LEVELS: usize = 8;

/// An entry and the hash of its name.
struct Hashed {
    hash: [u8; LEVELS],
    link: Link,
}

/// Stores a directory as a HAMT. `None`: more names share a hash than it can tell apart.
pub(crate) async fn store<S: BlockSink + ?Sized>(
    context: &Context<'_, S>,
    links: Vec<Link>,
) -> Result<Option<(Subtree, u64)>, ImportError> {
    let mut entries: Vec<Hashed> = links
        .into_iter()
        .map(|link| Hashed {
            hash: murmur3_x64_64(link.name.as_bytes()).to_be_bytes(),
            link,
        })
        .collect();
    // With the hashes in order, each branch is a run of entries, and links come out in order.
    entries.sort_by_key(|entry| entry.hash);
    if entries.windows(2).any(|pair| pair[0].hash == pair[1].hash) {
        return Ok(None);
    }
    let mut nodes = 0;
    let root = shard(context, &entries, 0, &mut nodes).await?;
    Ok(Some((root, nodes)))
}

type Shard<'a> = Pin<Box<dyn Future<Output = Result<Subtree, ImportError>> + Send + 'a>>;

/// Stores the node for entries whose hashes agree in the first `level` bytes.
fn shard<'a, S: BlockSink + ?Sized>(
    context: &'a Context<'_, S>,
    entries: &'a [Hashed],
    level: usize,
    nodes: &'a mut u64,
) -> Shard<'a> {
    Box::pin(async move {
        let mut links = Vec::new();
        let mut bitmap = [0u8; HAMT_FANOUT / 8];
        for run in entries.chunk_by(|a, b| a.hash[level] == b.hash[level]) {
            let branch = run[0].hash[level];
            // The bitmap is one big-endian number; branch 0 is its least significant bit.
            bitmap[HAMT_FANOUT / 8 - 1 - usize::from(branch / 8)] |= 1 << (branch % 8);
            let link = match run {
                [only] => Link {
                    name: format!("{branch:02X}{}", only.link.name),
                    ..only.link.clone()
                },
                // Hashes differ, so there is a level below at which they part.
                several => {
                    let below = shard(context, several, level + 1, nodes).await?;
                    Link {
                        cid: below.cid,
                        name: format!("{branch:02X}"),
                        tsize: below.tsize,
                    }
                }
            };
            links.push(link);
        }
        let leading_zeros = bitmap.iter().take_while(|byte| **byte == 0).count();
        let data = Data {
            data: Some(Bytes::copy_from_slice(&bitmap[leading_zeros..])),
            hash_type: Some(MURMUR3),
            fanout: Some(HAMT_FANOUT as u64),
            ..Data::new(DataType::HamtShard)
        };
        let block = Node { links, data }.to_block();
        context.put(block.cid, block.bytes).await?;
        *nodes += 1;
        Ok(Subtree {
            cid: block.cid,
            size: 0,
            tsize: block.tsize,
        })
    })
}

/// Branch `level` of a hash whose branches are `bits` wide; none past its end.
pub(crate) fn branch(hash: u64, level: usize, bits: u32) -> Option<u64> {
    let from = u32::try_from(level).ok()?.checked_mul(bits)?;
    if from + bits > u64::BITS {
        return None;
    }
    Some(hash << from >> (u64::BITS - bits))
}
