//! A file as a tree of which only the parts that are needed are read.

use bytes::Bytes;
use cid::Cid;

use crate::balanced::Subtree;
use crate::blocks::BlockSource;
use crate::error::{ExportError, Malformed};
use crate::fetch::{Fetched, RAW, fetch_node};
use crate::profile::MAX_FILE_DEPTH;
use crate::walk::check_file_node;

/// One block of a file, read.
pub(crate) enum Opened {
    /// Bytes of the file.
    Leaf(Bytes),
    /// The blocks below, and what the node itself holds before them.
    Node(Option<Bytes>, Vec<Subtree>),
}

/// Reads a root, whose size nobody declares.
pub(crate) async fn open_root<S: BlockSource + ?Sized>(
    root: &Cid,
    source: &S,
) -> Result<(u64, Opened), ExportError> {
    match fetch_node(source, root).await? {
        Fetched::Raw(bytes) => Ok((bytes.len() as u64, Opened::Leaf(bytes))),
        Fetched::Node(node) => {
            let size = check_file_node(root, &node)?;
            let inline = node.data.data.filter(|bytes| !bytes.is_empty());
            if node.links.is_empty() {
                return Ok((size, Opened::Leaf(inline.unwrap_or_default())));
            }
            let sizes = node.data.blocksizes.iter();
            let children = node.links.iter().zip(sizes).map(|(link, size)| Subtree {
                cid: link.cid,
                size: *size,
                tsize: link.tsize,
            });
            Ok((size, Opened::Node(inline, children.collect())))
        }
    }
}

/// Reads a part whose size its parent declares, `depth` levels below the root (U12).
pub(crate) async fn open<S: BlockSource + ?Sized>(
    part: &Subtree,
    depth: usize,
    source: &S,
) -> Result<Opened, ExportError> {
    if depth >= MAX_FILE_DEPTH {
        return Err(ExportError::malformed(&part.cid, Malformed::TooDeep));
    }
    let (size, opened) = open_root(&part.cid, source).await?;
    match size == part.size {
        true => Ok(opened),
        false => Err(ExportError::malformed(&part.cid, Malformed::Size)),
    }
}

/// The raw leaf of a file that begins at `offset`; none where no leaf does.
pub async fn leaf_at<S: BlockSource + ?Sized>(
    root: &Cid,
    offset: u64,
    source: &S,
) -> Result<Option<Cid>, ExportError> {
    let (mut cid, mut begin, mut depth) = (*root, 0, 0);
    let (_, mut opened) = open_root(root, source).await?;
    loop {
        let Opened::Node(inline, children) = opened else {
            let leaf = cid.codec() == RAW && begin == offset;
            return Ok(leaf.then_some(cid));
        };
        begin += inline.map_or(0, |bytes| bytes.len() as u64);
        depth += 1;
        let below = children.into_iter().find(|child| {
            let inside = (begin..begin + child.size).contains(&offset);
            if !inside {
                begin += child.size;
            }
            inside
        });
        let Some(below) = below.filter(|_| begin <= offset) else {
            return Ok(None);
        };
        // A raw block need not be read to be known for a leaf.
        if below.cid.codec() == RAW {
            return Ok((begin == offset).then_some(below.cid));
        }
        opened = open(&below, depth, source).await?;
        cid = below.cid;
    }
}
