//! The leaves of a file in order, with many blocks on their way at once (rules U11 and U12).
//!
//! The walk keeps a queue of slots in file order. The first few are being fetched; when the front
//! one turns out to be a node, its children take its place. The slots behind the front one share
//! a number of permits, with other walks too; the front slot needs none, so blocks that arrived
//! early never hold up the one that is needed next, and one walk never waits for another.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use cid::Cid;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::blocks::BlockSource;
use crate::dagpb::Node;
use crate::data::{DataType, Kind};
use crate::error::{ExportError, Malformed};
use crate::fetch::{Fetched, RAW, fetch, parse};
use crate::part::Part;
use crate::profile::{MAX_FILE_DEPTH, MAX_FILE_LINKS};

/// A stretch of the file.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Where in the file it begins.
    pub(crate) offset: u64,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// So many bytes that the part file has already.
    Kept(u64),
}

/// A link that waits to be followed.
#[derive(Clone, Debug)]
struct Pending {
    cid: Cid,
    /// What the parent says; the root has none.
    size: Option<u64>,
    offset: u64,
    depth: usize,
}

enum Slot {
    Waiting(Pending),
    /// With the permit that covers its memory until its turn.
    Fetching(u64, Pending, Option<OwnedSemaphorePermit>),
    /// Content that a node holds itself.
    Inline(u64, Bytes),
}

/// What came of a link.
enum Obtained {
    Block(Bytes),
    Kept(u64),
}

type Obtaining<'a> =
    Pin<Box<dyn Future<Output = (u64, Result<Obtained, ExportError>)> + Send + 'a>>;

/// Walks over one file.
pub(crate) struct Walk<'a, S: ?Sized> {
    source: &'a S,
    /// What an earlier export left.
    part: Option<Arc<Part>>,
    slots: VecDeque<Slot>,
    in_flight: FuturesUnordered<Obtaining<'a>>,
    /// Arrived before its turn.
    arrived: HashMap<u64, Obtained>,
    /// Blocks that may be fetched before their turn.
    ahead: Arc<Semaphore>,
    next_id: u64,
    /// What lies outside is not fetched.
    window: Range<u64>,
}

impl<'a, S: BlockSource + ?Sized> Walk<'a, S> {
    pub(crate) fn new(
        root: Cid,
        source: &'a S,
        part: Option<Arc<Part>>,
        ahead: Arc<Semaphore>,
    ) -> Self {
        let root = Pending {
            cid: root,
            size: None,
            offset: 0,
            depth: 0,
        };
        Walk {
            source,
            part,
            slots: VecDeque::from([Slot::Waiting(root)]),
            in_flight: FuturesUnordered::new(),
            arrived: HashMap::new(),
            ahead,
            next_id: 0,
            window: 0..u64::MAX,
        }
    }

    /// Passes over the blocks that hold nothing of `window`; what a block at its edge holds
    /// is given whole.
    pub(crate) fn within(mut self, window: Range<u64>) -> Self {
        self.window = window;
        self
    }

    /// The next stretch; none at the end. Together they are the file, without gaps.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>, ExportError> {
        loop {
            self.start_fetching();
            let (id, pending) = match self.slots.pop_front() {
                None => return Ok(None),
                Some(Slot::Inline(offset, bytes)) => {
                    return Ok(Some(Piece {
                        offset,
                        content: Content::Bytes(bytes),
                    }));
                }
                Some(Slot::Fetching(id, pending, _permit)) => (id, pending),
                Some(Slot::Waiting(_)) => unreachable!("the front is always started"),
            };
            let offset = pending.offset;
            match self.wait_for(id).await? {
                Obtained::Kept(len) => {
                    return Ok(Some(Piece {
                        offset,
                        content: Content::Kept(len),
                    }));
                }
                Obtained::Block(bytes) => match parse(&pending.cid, bytes)? {
                    Fetched::Raw(bytes) => {
                        check_size(&pending, bytes.len() as u64)?;
                        return Ok(Some(Piece {
                            offset,
                            content: Content::Bytes(bytes),
                        }));
                    }
                    Fetched::Node(node) => self.expand(&pending, node)?,
                },
            }
        }
    }

    /// Has the first slots fetched: the front one in any case, others as permits allow.
    fn start_fetching(&mut self) {
        let (source, part) = (self.source, &self.part);
        for (place, slot) in self.slots.iter_mut().enumerate() {
            let Slot::Waiting(pending) = slot else {
                continue;
            };
            let permit = match place {
                0 => None,
                _ => match Arc::clone(&self.ahead).try_acquire_owned() {
                    Ok(permit) => Some(permit),
                    Err(_) => break,
                },
            };
            let id = self.next_id;
            self.next_id += 1;
            let (part, wanted) = (part.clone(), pending.clone());
            self.in_flight.push(Box::pin(
                async move { (id, obtain(source, part, wanted).await) },
            ));
            *slot = Slot::Fetching(id, pending.clone(), permit);
        }
    }

    async fn wait_for(&mut self, id: u64) -> Result<Obtained, ExportError> {
        loop {
            if let Some(obtained) = self.arrived.remove(&id) {
                return Ok(obtained);
            }
            let arrived = self.in_flight.next().await;
            let (arrived_id, obtained) = arrived.expect("a slot that is fetched is in flight");
            self.arrived.insert(arrived_id, obtained?);
        }
    }

    /// Puts the children of a node in its place.
    fn expand(&mut self, parent: &Pending, node: Node) -> Result<(), ExportError> {
        let cid = &parent.cid;
        let total = check_file_node(cid, &node)?;
        check_size(parent, total)?;
        if !node.links.is_empty() && parent.depth + 1 >= MAX_FILE_DEPTH {
            return Err(ExportError::malformed(cid, Malformed::TooDeep));
        }
        let data = node.data;

        let mut end = parent.offset + total;
        for (link, size) in node.links.into_iter().zip(&data.blocksizes).rev() {
            end -= size;
            if end + size <= self.window.start || end >= self.window.end {
                continue;
            }
            self.slots.push_front(Slot::Waiting(Pending {
                cid: link.cid,
                size: Some(*size),
                offset: end,
                depth: parent.depth + 1,
            }));
        }
        if let Some(bytes) = data.data.filter(|bytes| !bytes.is_empty()) {
            self.slots.push_front(Slot::Inline(parent.offset, bytes));
        }
        Ok(())
    }
}

/// Checks a node of a file by itself (U12, U13), and returns the bytes it stands for.
pub(crate) fn check_file_node(cid: &Cid, node: &Node) -> Result<u64, ExportError> {
    let malformed = |reason| ExportError::malformed(cid, reason);
    let data = &node.data;
    match data.data_type() {
        Some(DataType::File | DataType::Raw) => {}
        Some(DataType::Directory | DataType::HamtShard) => {
            return Err(wrong_kind(cid, Kind::Directory));
        }
        Some(DataType::Symlink) => return Err(wrong_kind(cid, Kind::Symlink)),
        Some(DataType::Metadata) | None => return Err(malformed(Malformed::NotUnixFs)),
    }
    // U12: what a node declares, what its children are declared to be, and what it is said to
    // be by its parent must all agree, so a file ends where its root says.
    if node.links.len() > MAX_FILE_LINKS {
        return Err(malformed(Malformed::TooManyLinks));
    }
    if node.links.len() != data.blocksizes.len() {
        return Err(malformed(Malformed::Size));
    }
    let total = data
        .blocksizes
        .iter()
        .try_fold(data.inline_len(), |sum, size| sum.checked_add(*size));
    let total = total.ok_or_else(|| malformed(Malformed::Size))?;
    if data.filesize.is_some_and(|declared| declared != total) {
        return Err(malformed(Malformed::Size));
    }
    // U13: a child of no bytes would be work without an end in sight.
    if data.blocksizes.contains(&0) {
        return Err(malformed(Malformed::Size));
    }
    Ok(total)
}

fn wrong_kind(cid: &Cid, found: Kind) -> ExportError {
    ExportError::WrongKind {
        cid: *cid,
        found,
        wanted: Kind::File,
    }
}

fn check_size(pending: &Pending, size: u64) -> Result<(), ExportError> {
    match pending.size {
        Some(declared) if declared != size => {
            Err(ExportError::malformed(&pending.cid, Malformed::Size))
        }
        _ if pending.offset.checked_add(size).is_none() => {
            Err(ExportError::malformed(&pending.cid, Malformed::Size))
        }
        _ => Ok(()),
    }
}

/// Gets a block, unless what it holds is in the part file.
async fn obtain<S: BlockSource + ?Sized>(
    source: &S,
    part: Option<Arc<Part>>,
    wanted: Pending,
) -> Result<Obtained, ExportError> {
    if let Some(part) = part {
        // Nobody declares the size of a root; if it is raw, it is all that the file holds.
        let size = match wanted.size {
            None if wanted.cid.codec() == RAW => Some(part.found()),
            declared => declared,
        };
        if let Some(size) = size
            && part.has(wanted.cid, wanted.offset, size).await
        {
            return Ok(Obtained::Kept(size));
        }
    }
    fetch(source, &wanted.cid).await.map(Obtained::Block)
}
