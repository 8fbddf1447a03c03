//! The blocks below a root, each once, one above others after all of them (I3, I4).

use std::collections::HashSet;
use std::future::Future;

use blocks::{DAG_CBOR, DAG_PB, RAW, links};
use bytes::Bytes;
use cid::{Cid, Version};
use objects::Record;

use crate::PinError;

/// Blocks of a root at most, and links that wait on the way down.
pub const MAX_BLOCKS: u64 = 1_048_576;

/// Blocks one below the other at most.
pub const MAX_DEPTH: usize = 512;

/// Links of a properties block that belong to the version (H1).
const MAX_PROPERTY_LINKS: usize = 64;

/// The multihash that carries the bytes instead of their hash.
const IDENTITY: u64 = 0;

/// Which links of a block belong to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A root: a record leads to its content and its properties, another block to all it links to.
    Root,
    /// All of them.
    Node,
    /// A few, none of which has to be there.
    Properties,
    /// None; it need not be there.
    Optional,
}

/// A block that belongs to a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) cid: Cid,
    pub(crate) kind: Kind,
}

impl Wanted {
    fn new(cid: Cid, kind: Kind) -> Wanted {
        // An old name of a block is read as its new one.
        let cid = match cid.version() {
            Version::V0 => Cid::new_v1(DAG_PB, *cid.hash()),
            Version::V1 => cid,
        };
        Wanted { cid, kind }
    }

    /// Whether nothing is below it.
    fn is_leaf(&self) -> bool {
        self.cid.codec() == RAW || self.kind == Kind::Optional
    }
}

/// What is done with the blocks.
pub(crate) trait Visitor: Send {
    type Error: From<PinError> + Send;

    /// Whether nothing is to be done with this block and all below it.
    fn skips(&mut self, wanted: &Wanted) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// A block that others are below of: its bytes; `None` where it cannot be read and the walk
    /// goes on beside it.
    fn node(
        &mut self,
        wanted: Wanted,
    ) -> impl Future<Output = Result<Option<Bytes>, Self::Error>> + Send;

    /// Blocks that nothing is below of.
    fn leaves(
        &mut self,
        wanted: Vec<Wanted>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// All below this block, of so many bytes, has been gone through.
    fn complete(
        &mut self,
        cid: Cid,
        bytes: usize,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

struct Frame {
    cid: Cid,
    bytes: usize,
    /// What is still to be gone down to, and how much that was.
    inner: std::vec::IntoIter<Wanted>,
    count: u64,
}

/// Goes through the blocks of a root.
pub(crate) async fn walk<V: Visitor>(root: Cid, visitor: &mut V) -> Result<(), V::Error> {
    let root = Wanted::new(root, Kind::Root);
    if root.is_leaf() {
        return visitor.leaves(vec![root]).await;
    }
    let mut stack: Vec<Frame> = Vec::new();
    let mut waiting = 0;
    let mut next = Some(root);
    loop {
        if let Some(wanted) = next.take()
            && !visitor.skips(&wanted).await?
            && let Some(bytes) = visitor.node(wanted).await?
        {
            if stack.len() >= MAX_DEPTH {
                return Err(PinError::TooDeep.into());
            }
            let (leaves, inner): (Vec<_>, Vec<_>) = below(&wanted, &bytes)?
                .into_iter()
                .partition(Wanted::is_leaf);
            // Counted until the frame is gone: so long it takes its memory.
            let count = inner.len() as u64;
            waiting += count;
            if waiting > MAX_BLOCKS {
                return Err(PinError::TooMany.into());
            }
            visitor.leaves(leaves).await?;
            stack.push(Frame {
                cid: wanted.cid,
                bytes: bytes.len(),
                inner: inner.into_iter(),
                count,
            });
        }
        let Some(frame) = stack.last_mut() else {
            return Ok(());
        };
        next = frame.inner.next();
        if next.is_none() {
            let (cid, bytes) = (frame.cid, frame.bytes);
            waiting -= frame.count;
            stack.pop();
            visitor.complete(cid, bytes).await?;
        }
    }
}

/// What belongs to the root of what a block links to, each once.
fn below(of: &Wanted, bytes: &[u8]) -> Result<Vec<Wanted>, PinError> {
    let mut wanted = links_of(of, bytes)?;
    let mut seen = HashSet::with_capacity(wanted.len());
    wanted.retain(|wanted| seen.insert(wanted.cid));
    Ok(wanted)
}

fn links_of(of: &Wanted, bytes: &[u8]) -> Result<Vec<Wanted>, PinError> {
    if of.kind == Kind::Root
        && of.cid.codec() == DAG_CBOR
        && let Ok(record) = Record::decode(bytes)
    {
        let properties = record.properties().map(|cid| (cid, Kind::Properties));
        let root = record.root().map(|cid| (cid, Kind::Node));
        let mut wanted = Vec::new();
        // Content first: what properties name may be a part of it.
        for (cid, kind) in root.into_iter().chain(properties) {
            want(cid, kind, &mut wanted)?;
        }
        return Ok(wanted);
    }
    let links = links(&of.cid, bytes).ok_or(PinError::Malformed(of.cid))?;
    let (most, kind) = match of.kind {
        Kind::Root | Kind::Node => (usize::MAX, Kind::Node),
        Kind::Properties => (MAX_PROPERTY_LINKS, Kind::Optional),
        Kind::Optional => (0, Kind::Optional),
    };
    let mut wanted = Vec::new();
    for cid in links.into_iter().take(most) {
        want(cid, kind, &mut wanted)?;
    }
    Ok(wanted)
}

/// Adds a block. Of a CID that is its own block the links are wanted instead: it has 64 bytes at
/// most, and what is nested in it fewer.
fn want(cid: Cid, kind: Kind, wanted: &mut Vec<Wanted>) -> Result<(), PinError> {
    if cid.hash().code() != IDENTITY {
        wanted.push(Wanted::new(cid, kind));
        return Ok(());
    }
    if kind == Kind::Node {
        let nested = links(&cid, cid.hash().digest()).ok_or(PinError::Malformed(cid))?;
        for link in nested {
            want(link, kind, wanted)?;
        }
    }
    Ok(())
}
