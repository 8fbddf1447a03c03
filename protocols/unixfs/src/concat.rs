//! Files become one that follows them all and shares their leaves (rule U18).

use cid::Cid;
use futures::stream::{self, StreamExt};

use crate::balanced::{Balanced, Subtree};
use crate::blocks::{BlockSink, BlockSource};
use crate::error::ImportError;
use crate::fetch::{RAW, hash_chunk, sha256_cid};
use crate::profile::MAX_LINKS;
use crate::splice::{SpliceError, Spliced, Tree, shared_leaves};
use crate::tree::open_root;

/// Files whose nodes are read at a time; a file of 5 GiB has 5 of them.
const AHEAD: usize = 8;

/// The file whose content is that of `parts`, one after the other.
///
/// No leaf is read or written: what is new are the nodes above them. Where each part but the
/// last is whole chunks long, it has the CID of importing the whole. Holds the leaves of a few
/// parts in memory, some 100 bytes each.
pub async fn concat<S: BlockSource + BlockSink + ?Sized>(
    parts: &[Cid],
    blocks: &S,
) -> Result<Spliced, SpliceError> {
    let mut tree = Balanced::new(MAX_LINKS);
    let mut written = 0;
    let mut opened = stream::iter(parts.to_vec())
        .map(|part| leaves(part, blocks))
        .buffered(AHEAD);
    while let Some(leaves) = opened.next().await {
        for leaf in leaves? {
            let leaf = match leaf {
                Tree::Kept(leaf) => leaf,
                // What a node held itself, as other tools write them.
                Tree::Leaf(bytes) => {
                    let (cid, bytes) = hash_chunk(bytes).await;
                    let size = bytes.len() as u64;
                    let put = blocks.put(cid, bytes).await;
                    put.map_err(|source| SpliceError::Sink { cid, source })?;
                    written += 1;
                    Subtree {
                        cid,
                        size,
                        tsize: size,
                    }
                }
                Tree::Node(_) => continue,
            };
            tree.push(leaf, blocks).await.map_err(not_stored)?;
        }
    }
    if let Some((root, nodes)) = tree.finish(blocks).await.map_err(not_stored)? {
        return Ok(Spliced {
            cid: root.cid,
            size: root.size,
            blocks: written + nodes,
        });
    }
    let cid = sha256_cid(RAW, &[]);
    let put = blocks.put(cid, bytes::Bytes::new()).await;
    put.map_err(|source| SpliceError::Sink { cid, source })?;
    Ok(Spliced {
        cid,
        size: 0,
        blocks: 1,
    })
}

/// The leaves of a file: none of an empty one.
async fn leaves<S: BlockSource + ?Sized>(part: Cid, blocks: &S) -> Result<Vec<Tree>, SpliceError> {
    let (size, _) = open_root(&part, blocks).await?;
    if size == 0 {
        return Ok(Vec::new());
    }
    if part.codec() == RAW {
        return Ok(vec![Tree::Kept(Subtree {
            cid: part,
            size,
            tsize: size,
        })]);
    }
    shared_leaves(&part, size, blocks).await
}

/// Nothing but the sink fails while a tree is built.
fn not_stored(error: ImportError) -> SpliceError {
    match error {
        ImportError::Sink { cid, source } => SpliceError::Sink { cid, source },
        _ => SpliceError::TooLarge,
    }
}
