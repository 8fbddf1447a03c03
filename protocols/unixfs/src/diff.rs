//! Where two files differ, by their blocks.

use cid::Cid;

use crate::balanced::Subtree;
use crate::blocks::BlockSource;
use crate::error::ExportError;
use crate::fetch::RAW;
use crate::tree::{Opened, open, open_root};

/// Ranges that a comparison tells apart; from there on the rest counts as one.
pub const MAX_DIFFERENCES: usize = 65_536;

/// A stretch where two files are not made of the same blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it begins, in both files.
    pub offset: u64,
    /// Bytes of it.
    pub length: u64,
}

/// A part of a file that is not compared yet.
struct Waiting {
    part: Subtree,
    depth: usize,
    begin: u64,
    /// Known for a leaf, though not raw.
    leaf: bool,
}

impl Waiting {
    fn end(&self) -> u64 {
        self.begin + self.part.size
    }

    fn is_leaf(&self) -> bool {
        self.leaf || self.part.cid.codec() == RAW
    }
}

/// Blocks that are opened at most: what is below others counts as different. A file of a
/// terabyte has a thousand above its leaves.
const MAX_OPENED: usize = 65_536;

/// The stretches, in order, where two files are made of different blocks; what is behind the
/// end of the shorter one differs. Blocks that both have at the same place are not read, nor
/// is what is below them. Where the same bytes are cut into blocks differently they count as
/// different.
pub async fn diff<S: BlockSource + ?Sized>(
    one: &Cid,
    other: &Cid,
    source: &S,
) -> Result<Vec<Difference>, ExportError> {
    if one == other {
        return Ok(Vec::new());
    }
    let mut sides = [start(one, source).await?, start(other, source).await?];
    let mut found = Vec::new();
    let (mut at, mut opened) = (0, 0);
    loop {
        let [left, right] = &mut sides;
        let (Some(a), Some(b)) = (left.last(), right.last()) else {
            break;
        };
        if a.begin == b.begin && a.part.size == b.part.size && a.part.cid == b.part.cid {
            at = a.end();
            left.pop();
            right.pop();
            continue;
        }
        // The larger of those that can be opened is, so that equal parts come to face
        // each other.
        let opens = opened < MAX_OPENED;
        let (a_opens, b_opens) = (opens && !a.is_leaf(), opens && !b.is_leaf());
        opened += usize::from(a_opens || b_opens);
        match (a_opens, b_opens) {
            (true, _) if !b_opens || a.part.size >= b.part.size => expand(left, source).await?,
            (_, true) => expand(right, source).await?,
            (_, false) => {
                let end = a.end().min(b.end());
                note(&mut found, at, end);
                at = end;
                left.pop_if(|a| a.end() == end);
                right.pop_if(|b| b.end() == end);
            }
        }
    }
    for rest in sides.iter().flat_map(|side| side.first()) {
        note(&mut found, at, rest.end());
    }
    Ok(found)
}

/// The stack of a file's parts, the first one on top.
async fn start<S: BlockSource + ?Sized>(
    root: &Cid,
    source: &S,
) -> Result<Vec<Waiting>, ExportError> {
    let (size, opened) = open_root(root, source).await?;
    if size == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![Waiting {
        part: Subtree {
            cid: *root,
            size,
            tsize: 0,
        },
        depth: 0,
        begin: 0,
        leaf: matches!(opened, Opened::Leaf(_)),
    }])
}

/// Puts what is below the top in its place.
async fn expand<S: BlockSource + ?Sized>(
    side: &mut Vec<Waiting>,
    source: &S,
) -> Result<(), ExportError> {
    let Some(top) = side.pop() else {
        return Ok(());
    };
    match open(&top.part, top.depth, source).await? {
        // Bytes that a node holds itself are compared with the node.
        Opened::Leaf(_) | Opened::Node(Some(_), _) => side.push(Waiting { leaf: true, ..top }),
        Opened::Node(None, children) => {
            let mut end = top.end();
            for part in children.into_iter().rev() {
                end -= part.size;
                side.push(Waiting {
                    part,
                    depth: top.depth + 1,
                    begin: end,
                    leaf: false,
                });
            }
        }
    }
    Ok(())
}

fn note(found: &mut Vec<Difference>, from: u64, to: u64) {
    let full = found.len() >= MAX_DIFFERENCES;
    match found.last_mut() {
        Some(last) if full || last.offset + last.length == from => last.length = to - last.offset,
        _ if from == to => {}
        _ => found.push(Difference {
            offset: from,
            length: to - from,
        }),
    }
}
