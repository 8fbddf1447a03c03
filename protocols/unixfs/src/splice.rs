//! A file becomes another one that shares all blocks but those that change (rule U17).
//!
//! Like a B-tree: the leaf where the change is, is cut; a node with too many children is
//! divided, a small leaf or node joins its neighbour. What is new is only the leaves at the
//! cut and the nodes above them.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use cid::{Cid, Version};
use futures::future::BoxFuture;

use crate::balanced::{Subtree, file_node};
use crate::blocks::{BlockSink, BlockSource, BoxError};
use crate::chunking::Chunking;
use crate::error::{ExportError, ImportError, Malformed};
use crate::export::export_to_writer;
use crate::fetch::{DAG_PB, RAW, hash_chunk, sha256_cid};
use crate::profile::{CHUNK_SIZE, MAX_FILE_DEPTH, Options};
use crate::tree::{Opened, open, open_root};

/// Leaves of a file that is inserted into another: 256 GiB of whole chunks. They are in
/// memory at once, some 100 bytes each.
pub const MAX_INSERTED_LEAVES: usize = 262_144;

/// A file up to this many chunks is inserted by its bytes, so that they fill leaves.
const COPIED: u64 = 4;

/// Blocks asked for at a time of a file that is inserted by its bytes.
const IN_FLIGHT: usize = 4;

const SHA2_256: u64 = 0x12;

/// What is put into a file.
#[derive(Clone, Debug)]
pub enum Insert {
    /// Nothing: the range is deleted.
    Nothing,
    /// These bytes, which the caller holds in memory.
    Bytes(Bytes),
    /// The content of another file, whose blocks are shared.
    File(Cid),
}

/// What a splice made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The new root.
    pub cid: Cid,
    /// Bytes of content.
    pub size: u64,
    /// Blocks given to the sink.
    pub blocks: u64,
}

/// Why a file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpliceError {
    /// A block could not be read, or is malformed.
    #[error(transparent)]
    Read(#[from] ExportError),
    /// The range is not within the file.
    #[error("bytes {from} to {to} are not within the file, which has {size}")]
    BeyondEnd {
        /// Where the range begins.
        from: u64,
        /// Where it ends.
        to: u64,
        /// Bytes of the file.
        size: u64,
    },
    /// The numbers in the options are out of range.
    #[error(transparent)]
    Options(ImportError),
    /// The inserted file has more than [`MAX_INSERTED_LEAVES`], or the sum is beyond 2^63.
    #[error("what is inserted is too large: put the whole file anew")]
    TooLarge,
    /// The sink did not take a block.
    #[error("cannot store block {cid}")]
    Sink {
        /// The block.
        cid: Cid,
        /// Why not.
        #[source]
        source: BoxError,
    },
}

/// The file that comes of `root` when the bytes in `range` are replaced by `insert`: a write,
/// an append, an insertion, a deletion or a truncation.
///
/// Reads and writes a number of blocks that grows with the depth of the tree and with what is
/// inserted, not with the file or with what is deleted. Appending to a file made by
/// [`import_reader`](crate::import_reader) gives the CID of importing the whole; other
/// changes give trees that an import would not.
pub async fn splice<S: BlockSource + BlockSink + ?Sized>(
    root: &Cid,
    range: Range<u64>,
    insert: Insert,
    blocks: &S,
) -> Result<Spliced, SpliceError> {
    let options = Options {
        chunking: chunking_of(root, blocks).await?,
        ..Options::default()
    };
    splice_with(root, range, insert, blocks, &options).await
}

/// About how long the leaves of a file are (U17): a power of two, as long as the longest of the
/// first few at least, and a chunk of the profile at most. So small leaves stay small where a file
/// is changed again and again.
async fn chunking_of<S: BlockSource + ?Sized>(
    root: &Cid,
    blocks: &S,
) -> Result<Chunking, SpliceError> {
    let mut part = Subtree {
        cid: *root,
        size: open_root(root, blocks).await?.0,
        tsize: 0,
    };
    for depth in 0..MAX_FILE_DEPTH {
        if part.cid.codec() == RAW {
            break;
        }
        let Opened::Node(_, children) = open(&part, depth, blocks).await? else {
            break;
        };
        let Some(first) = children.first().cloned() else {
            break;
        };
        if first.cid.codec() == RAW {
            let longest = children.iter().map(|leaf| leaf.size).max().unwrap_or(0);
            let longest = usize::try_from(longest).unwrap_or(CHUNK_SIZE);
            let chunk = longest.clamp(LEAST_CHUNK, CHUNK_SIZE).next_power_of_two();
            return Ok(Chunking::Size(chunk));
        }
        part = first;
    }
    Ok(Chunking::default())
}

/// [`splice`] where leaves have another length, or nodes another width, than the profile's:
/// those that the file was imported with.
pub async fn splice_with<S: BlockSource + BlockSink + ?Sized>(
    root: &Cid,
    range: Range<u64>,
    insert: Insert,
    blocks: &S,
    options: &Options,
) -> Result<Spliced, SpliceError> {
    splice_each(root, vec![(range, insert)], blocks, options).await
}

/// Several changes, one after the other: the range of each is one of the file that those before it
/// made. What is made in between is not stored, and a node above several of them once.
///
/// # Errors
/// As those of [`splice`]; nothing is stored unless all changes can be made.
pub async fn splice_each<S: BlockSource + BlockSink + ?Sized>(
    root: &Cid,
    changes: Vec<(Range<u64>, Insert)>,
    blocks: &S,
    options: &Options,
) -> Result<Spliced, SpliceError> {
    options.validate().map_err(SpliceError::Options)?;
    let (chunk, width) = (options.chunking.longest(), options.max_links);
    let (mut size, _) = open_root(root, blocks).await?;
    // Of a raw block this is its `Tsize`; a node is read and so never linked to as it is.
    let mut tree = Tree::Kept(Subtree {
        cid: *root,
        size,
        tsize: size,
    });
    let mut deepest = 0;
    for (range, insert) in changes {
        if range.start > range.end || range.end > size {
            return Err(SpliceError::BeyondEnd {
                from: range.start,
                to: range.end,
                size,
            });
        }
        let (insert, added) = pieces(insert, blocks, chunk).await?;
        if size.checked_add(added).is_none_or(|sum| sum >= 1 << 63) {
            return Err(SpliceError::TooLarge);
        }
        if range.is_empty() && added == 0 {
            continue;
        }
        let edit = Edit {
            blocks,
            chunk,
            width,
            deepest: AtomicUsize::new(deepest),
            appends: range.is_empty() && range.start == size,
        };
        let left = size - (range.end - range.start);
        let trees = match size {
            // The block of no bytes is no leaf to keep.
            0 => edit.join(insert, 0).await?,
            _ => {
                let trees = edit.cut(tree, range, insert, 0).await?;
                edit.join(trees, 0).await?
            }
        };
        (tree, deepest) = edit
            .root(trees)
            .ok_or_else(|| ExportError::malformed(root, Malformed::TooDeep))?;
        size = left + added;
    }
    let mut writer = Writer { blocks, written: 0 };
    // What was not changed is stored.
    let root = writer.write(tree).await?;
    Ok(Spliced {
        cid: root.cid,
        size,
        blocks: writer.written,
    })
}

/// A part of the file that is being made.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// As it was.
    Kept(Subtree),
    /// A new leaf.
    Leaf(Bytes),
    /// A new node.
    Node(Vec<Tree>),
}

impl Tree {
    fn size(&self) -> u64 {
        match self {
            Tree::Kept(part) => part.size,
            Tree::Leaf(bytes) => bytes.len() as u64,
            Tree::Node(children) => children.iter().map(Tree::size).sum(),
        }
    }

    /// Whether it is what is written here: version 1 and SHA-256, a raw leaf or a dag-pb node.
    fn may_be_root(&self) -> bool {
        match self {
            Tree::Kept(part) => {
                let hash = part.cid.hash();
                part.cid.version() == Version::V1
                    && (hash.code(), hash.size()) == (SHA2_256, 32)
                    && matches!(part.cid.codec(), RAW | DAG_PB)
            }
            Tree::Leaf(_) | Tree::Node(_) => true,
        }
    }

    /// Whether it is known for a leaf without reading it.
    fn is_leaf(&self) -> bool {
        match self {
            Tree::Kept(part) => part.cid.codec() == RAW,
            Tree::Leaf(_) => true,
            Tree::Node(_) => false,
        }
    }
}

/// Leaves of a file that has small ones do not become smaller than this.
const LEAST_CHUNK: usize = 64 * 1024;

/// What is inserted, as leaves, and its length.
async fn pieces<S: BlockSource + ?Sized>(
    insert: Insert,
    blocks: &S,
    chunk: usize,
) -> Result<(Vec<Tree>, u64), SpliceError> {
    match insert {
        Insert::Nothing => Ok((Vec::new(), 0)),
        Insert::Bytes(bytes) => {
            let size = bytes.len() as u64;
            Ok((leaves_of(bytes, chunk), size))
        }
        Insert::File(cid) => {
            let (size, _) = open_root(&cid, blocks).await?;
            if size <= COPIED * chunk as u64 {
                let mut bytes = Vec::with_capacity(size as usize);
                export_to_writer(&cid, blocks, &mut bytes, IN_FLIGHT).await?;
                return Ok((leaves_of(bytes.into(), chunk), size));
            }
            Ok((shared_leaves(&cid, size, blocks).await?, size))
        }
    }
}

fn leaves_of(mut bytes: Bytes, chunk: usize) -> Vec<Tree> {
    let mut leaves = Vec::new();
    while !bytes.is_empty() {
        leaves.push(Tree::Leaf(bytes.split_to(bytes.len().min(chunk))));
    }
    leaves
}

/// Bytes that nodes of an inserted file hold themselves, which become leaves of their own.
const MAX_INLINED: usize = 64 * 1024 * 1024;

/// The leaves of a file, which are not kept in memory.
pub(crate) async fn shared_leaves<S: BlockSource + ?Sized>(
    root: &Cid,
    size: u64,
    blocks: &S,
) -> Result<Vec<Tree>, SpliceError> {
    let whole = Subtree {
        cid: *root,
        size,
        tsize: 0,
    };
    let mut waiting = vec![(whole, 0)];
    let (mut leaves, mut inlined) = (Vec::new(), 0);
    while let Some((part, depth)) = waiting.pop() {
        if leaves.len() + waiting.len() > MAX_INSERTED_LEAVES {
            return Err(SpliceError::TooLarge);
        }
        if part.cid.codec() == RAW {
            leaves.push(Tree::Kept(part));
            continue;
        }
        match open(&part, depth, blocks).await? {
            // Its size was read where it is linked: only the root has none, and is never
            // shared as a leaf.
            Opened::Leaf(_) if depth > 0 => leaves.push(Tree::Kept(part)),
            Opened::Leaf(bytes) => leaves.push(Tree::Leaf(bytes)),
            Opened::Node(inline, children) => {
                inlined += inline.as_ref().map_or(0, Bytes::len);
                if inlined > MAX_INLINED {
                    return Err(SpliceError::TooLarge);
                }
                leaves.extend(inline.map(Tree::Leaf));
                let below = children.into_iter().rev().map(|part| (part, depth + 1));
                waiting.extend(below);
            }
        }
    }
    Ok(leaves)
}

struct Edit<'a, S: ?Sized> {
    blocks: &'a S,
    /// Bytes of a full leaf.
    chunk: usize,
    /// Children of a full node.
    width: usize,
    /// How far below the root a block was read.
    deepest: AtomicUsize,
    /// Whether all that is inserted follows the end, so that leaves and nodes are filled
    /// from the left as an import does.
    appends: bool,
}

impl<S: BlockSource + BlockSink + ?Sized> Edit<'_, S> {
    /// What takes the place of a part in which a range is replaced: none, one or several
    /// parts of the same level.
    fn cut(
        &self,
        tree: Tree,
        range: Range<u64>,
        insert: Vec<Tree>,
        depth: usize,
    ) -> BoxFuture<'_, Result<Vec<Tree>, SpliceError>> {
        Box::pin(async move {
            let size = tree.size();
            let whole = range.start == 0 && range.end == size;
            if whole && (tree.is_leaf() || insert.is_empty()) {
                return Ok(insert);
            }
            if range.is_empty() && tree.is_leaf() {
                // Beside a leaf, which is not read.
                if range.start == 0 {
                    return Ok(insert.into_iter().chain([tree]).collect());
                }
                let full = size >= self.chunk as u64 || !self.appends;
                if range.start == size && full {
                    return Ok([tree].into_iter().chain(insert).collect());
                }
            }
            match self.open(tree, depth).await? {
                Parts::Leaf(bytes) => {
                    let (from, to) = (range.start as usize, range.end as usize);
                    let mut pieces = leaves_of(bytes.slice(..from), self.chunk);
                    pieces.extend(insert);
                    pieces.extend(leaves_of(bytes.slice(to..), self.chunk));
                    Ok(pieces)
                }
                Parts::Node(children) => {
                    let children = self.cut_below(children, range, insert, depth).await?;
                    Ok(self.group(self.join(children, depth + 1).await?))
                }
            }
        })
    }

    async fn cut_below(
        &self,
        children: Vec<Tree>,
        range: Range<u64>,
        insert: Vec<Tree>,
        depth: usize,
    ) -> Result<Vec<Tree>, SpliceError> {
        let mut insert = Some(insert);
        let last = children.len().saturating_sub(1);
        let mut begin = 0;
        let mut made = Vec::with_capacity(children.len());
        for (at, child) in children.into_iter().enumerate() {
            let end = begin + child.size();
            let touched = begin < range.end && range.start < end;
            // The first that the range touches takes what is inserted; an empty range
            // touches the one it lies in or before, or the end of the last one.
            let here = (begin..end).contains(&range.start) || at == last;
            let insert = match here {
                true => insert.take().unwrap_or_default(),
                false => Vec::new(),
            };
            if touched || !insert.is_empty() {
                let from = range.start.clamp(begin, end) - begin;
                let to = range.end.clamp(begin, end) - begin;
                made.extend(self.cut(child, from..to, insert, depth + 1).await?);
            } else {
                made.push(child);
            }
            begin = end;
        }
        Ok(made)
    }

    async fn open(&self, tree: Tree, depth: usize) -> Result<Parts, SpliceError> {
        match tree {
            Tree::Leaf(bytes) => Ok(Parts::Leaf(bytes)),
            Tree::Node(children) => Ok(Parts::Node(children)),
            Tree::Kept(part) => Ok(match open(&part, depth, self.blocks).await? {
                Opened::Leaf(bytes) => Parts::Leaf(bytes),
                Opened::Node(inline, children) => {
                    self.deepest.fetch_max(depth, Ordering::Relaxed);
                    let inline = inline.into_iter().map(Tree::Leaf);
                    let children = children.into_iter().map(Tree::Kept);
                    Parts::Node(inline.chain(children).collect())
                }
            }),
        }
    }

    /// Joins neighbours of which one is new where they fit into one, so that many small
    /// changes do not leave many small blocks.
    fn join(
        &self,
        parts: Vec<Tree>,
        depth: usize,
    ) -> BoxFuture<'_, Result<Vec<Tree>, SpliceError>> {
        Box::pin(async move {
            let mut joined: Vec<Tree> = Vec::with_capacity(parts.len());
            for next in parts {
                let Some(last) = joined.pop() else {
                    joined.push(next);
                    continue;
                };
                let made = match (last.is_leaf(), next.is_leaf()) {
                    (true, true) => self.join_leaves(last, next, depth).await?,
                    (false, false) => self.join_nodes(last, next, depth).await?,
                    _ => vec![last, next],
                };
                joined.extend(made);
            }
            Ok(joined)
        })
    }

    async fn join_leaves(
        &self,
        last: Tree,
        next: Tree,
        depth: usize,
    ) -> Result<Vec<Tree>, SpliceError> {
        let fits = last.size() + next.size() <= self.chunk as u64;
        let refill = self.appends && last.size() < self.chunk as u64;
        let joins = match (&last, &next) {
            (Tree::Kept(_), Tree::Kept(_)) => false,
            (Tree::Leaf(_), Tree::Leaf(_)) => fits || refill,
            _ => fits,
        };
        if !joins {
            return Ok(vec![last, next]);
        }
        let mut bytes = BytesMut::new();
        for tree in [last, next] {
            if let Parts::Leaf(part) = self.open(tree, depth).await? {
                bytes.extend_from_slice(&part);
            }
        }
        Ok(leaves_of(bytes.freeze(), self.chunk))
    }

    async fn join_nodes(
        &self,
        last: Tree,
        next: Tree,
        depth: usize,
    ) -> Result<Vec<Tree>, SpliceError> {
        let half = self.width / 2;
        let small = |tree: &Tree| matches!(tree, Tree::Node(below) if below.len() <= half);
        if !small(&last) && !small(&next) {
            return Ok(vec![last, next]);
        }
        let (left, right) = (
            self.open(last.clone(), depth).await?,
            self.open(next.clone(), depth).await?,
        );
        match (left, right) {
            (Parts::Node(mut left), Parts::Node(right))
                if left.len() + right.len() <= self.width =>
            {
                left.extend(right);
                // The last leaf of the one and the first of the other are neighbours now.
                Ok(vec![Tree::Node(self.join(left, depth + 1).await?)])
            }
            _ => Ok(vec![last, next]),
        }
    }

    /// Nodes over some parts: none over none, as few as hold them else.
    fn group(&self, parts: Vec<Tree>) -> Vec<Tree> {
        let nodes = parts.len().div_ceil(self.width);
        if nodes == 0 {
            return Vec::new();
        }
        let share = match self.appends {
            true => self.width,
            false => parts.len().div_ceil(nodes),
        };
        let mut parts = parts.into_iter().peekable();
        let mut made = Vec::with_capacity(nodes);
        while parts.peek().is_some() {
            made.push(Tree::Node(parts.by_ref().take(share).collect()));
        }
        made
    }

    /// The one tree that is the file, and how far below its root a block was read at most; none
    /// where it would be deeper than a reader goes.
    fn root(&self, mut trees: Vec<Tree>) -> Option<(Tree, usize)> {
        let mut grown = 0;
        while trees.len() > 1 {
            trees = self.group(trees);
            grown += 1;
        }
        // The leaves lie one below the lowest node; a reader follows no node deeper.
        let mut deepest = self.deepest.load(Ordering::Relaxed) + grown;
        if grown > 0 && deepest + 1 >= MAX_FILE_DEPTH {
            return None;
        }
        let mut root = trees.pop().unwrap_or(Tree::Leaf(Bytes::new()));
        // A node over one part says nothing that the part does not. A block of another tool's
        // tree may be fine below a node, and yet nothing that is written as a root (U1).
        while let Tree::Node(children) = &mut root
            && let [only] = &children[..]
            && only.may_be_root()
        {
            root = children.remove(0);
            deepest = deepest.saturating_sub(1);
        }
        Some((root, deepest))
    }
}

enum Parts {
    Leaf(Bytes),
    Node(Vec<Tree>),
}

struct Writer<'a, S: ?Sized> {
    blocks: &'a S,
    written: u64,
}

impl<S: BlockSink + ?Sized> Writer<'_, S> {
    /// Stores what is new of a tree, the lowest first.
    fn write(&mut self, tree: Tree) -> BoxFuture<'_, Result<Subtree, SpliceError>> {
        Box::pin(async move {
            match tree {
                Tree::Kept(part) => Ok(part),
                Tree::Leaf(bytes) if bytes.is_empty() => {
                    self.put(sha256_cid(RAW, &[]), bytes).await
                }
                Tree::Leaf(bytes) => {
                    let (cid, bytes) = hash_chunk(bytes).await;
                    self.put(cid, bytes).await
                }
                Tree::Node(children) => {
                    let mut parts = Vec::with_capacity(children.len());
                    for child in children {
                        parts.push(self.write(child).await?);
                    }
                    let (size, node) = file_node(parts);
                    let block = node.to_block();
                    let stored = self.put(block.cid, block.bytes).await?;
                    Ok(Subtree {
                        size,
                        tsize: block.tsize,
                        ..stored
                    })
                }
            }
        })
    }

    async fn put(&mut self, cid: Cid, bytes: Bytes) -> Result<Subtree, SpliceError> {
        let size = bytes.len() as u64;
        let put = self.blocks.put(cid, bytes).await;
        put.map_err(|source| SpliceError::Sink { cid, source })?;
        self.written += 1;
        Ok(Subtree {
            cid,
            size,
            tsize: size,
        })
    }
}
