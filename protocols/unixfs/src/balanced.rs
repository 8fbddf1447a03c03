//! The balanced tree of a file, built from its leaves as they come (rule U3).

use cid::Cid;

use crate::blocks::BlockSink;
use crate::dagpb::{Link, Node};
use crate::data::{Data, DataType};
use crate::error::ImportError;

/// A finished part of a file.
#[derive(Clone, Debug)]
pub(crate) struct Subtree {
    pub(crate) cid: Cid,
    /// Bytes of the file below.
    pub(crate) size: u64,
    /// Bytes of the blocks below.
    pub(crate) tsize: u64,
}

/// Holds at most `max_links` links for each level of the tree.
pub(crate) struct Balanced {
    /// From the leaves upwards: what waits for its node.
    levels: Vec<Vec<Subtree>>,
    max_links: usize,
    /// Nodes written.
    pub(crate) nodes: u64,
}

impl Balanced {
    pub(crate) fn new(max_links: usize) -> Self {
        Balanced {
            levels: vec![Vec::new()],
            max_links,
            nodes: 0,
        }
    }

    /// Adds the next leaf of the file.
    pub(crate) async fn push<S: BlockSink + ?Sized>(
        &mut self,
        leaf: Subtree,
        sink: &S,
    ) -> Result<(), ImportError> {
        self.push_at(0, leaf, sink).await
    }

    /// The root and the number of nodes written; `None` if there was no leaf.
    pub(crate) async fn finish<S: BlockSink + ?Sized>(
        mut self,
        sink: &S,
    ) -> Result<Option<(Subtree, u64)>, ImportError> {
        let mut level = 0;
        loop {
            let mut links = std::mem::take(&mut self.levels[level]);
            if level + 1 == self.levels.len() && links.len() <= 1 {
                return Ok(links.pop().map(|root| (root, self.nodes)));
            }
            let node = self.close(links, sink).await?;
            level += 1;
            self.push_at(level, node, sink).await?;
        }
    }

    async fn push_at<S: BlockSink + ?Sized>(
        &mut self,
        mut level: usize,
        mut next: Subtree,
        sink: &S,
    ) -> Result<(), ImportError> {
        loop {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            // A full level is only closed when something follows, so that it can be the root.
            if self.levels[level].len() < self.max_links {
                self.levels[level].push(next);
                return Ok(());
            }
            let full = std::mem::replace(&mut self.levels[level], vec![next]);
            next = self.close(full, sink).await?;
            level += 1;
        }
    }

    async fn close<S: BlockSink + ?Sized>(
        &mut self,
        children: Vec<Subtree>,
        sink: &S,
    ) -> Result<Subtree, ImportError> {
        let (size, node) = file_node(children);
        let block = node.to_block();
        let cid = block.cid;
        sink.put(cid, block.bytes)
            .await
            .map_err(|source| ImportError::Sink { cid, source })?;
        self.nodes += 1;
        Ok(Subtree {
            cid,
            size,
            tsize: block.tsize,
        })
    }
}

/// The node over some parts of a file, and the bytes it stands for.
pub(crate) fn file_node(children: Vec<Subtree>) -> (u64, Node) {
    let size = children.iter().map(|child| child.size).sum();
    let node = Node {
        data: Data {
            filesize: Some(size),
            blocksizes: children.iter().map(|child| child.size).collect(),
            ..Data::new(DataType::File)
        },
        links: children
            .into_iter()
            .map(|child| Link {
                cid: child.cid,
                name: String::new(),
                tsize: child.tsize,
            })
            .collect(),
    };
    (size, node)
}
