//! A reader becomes a file (rules U1 to U5).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cid::Cid;
use futures::stream::{FuturesOrdered, StreamExt};
use tokio::io::AsyncRead;
use tokio::sync::Semaphore;

use crate::balanced::{Balanced, Subtree};
use crate::blocks::BlockSink;
use crate::chunker::{Chunk, Chunker};
use crate::error::ImportError;
use crate::fetch::{RAW, hash_chunk, sha256_cid};
use crate::profile::Options;
use crate::progress::{Progress, Report};

/// What an import made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The root.
    pub cid: Cid,
    /// Bytes of content: of the file, or of all files in the directory.
    pub size: u64,
    /// Blocks given to the sink, equal ones counted each time.
    pub blocks: u64,
}

/// Imports what a reader gives, to its end, as a file.
///
/// Holds `concurrency` chunks and, for each level of the tree, `max_links` links in memory.
pub async fn import_reader<R, S>(
    reader: R,
    sink: &S,
    options: &Options,
) -> Result<Imported, ImportError>
where
    R: AsyncRead + Unpin,
    S: BlockSink + ?Sized,
{
    options.validate()?;
    let memory = Arc::new(Semaphore::new(options.concurrency));
    let context = Context {
        sink,
        options,
        memory,
        report: &|_| (),
    };
    let mut chunker = context.chunker(reader);
    let file = context.file(&mut chunker, Path::new("-")).await?;
    Ok(Imported {
        cid: file.root.cid,
        size: file.root.size,
        blocks: file.blocks,
    })
}

/// What all files of one import share.
pub(crate) struct Context<'a, S: ?Sized> {
    pub(crate) sink: &'a S,
    pub(crate) options: &'a Options,
    /// One permit for each chunk in memory.
    pub(crate) memory: Arc<Semaphore>,
    pub(crate) report: Report<'a>,
}

/// A part of an import: what its parent links to, and what it counts.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) root: Subtree,
    pub(crate) blocks: u64,
}

impl<S: BlockSink + ?Sized> Context<'_, S> {
    pub(crate) fn chunker<R: AsyncRead + Unpin>(&self, reader: R) -> Chunker<R> {
        Chunker::new(reader, self.options.chunking, Arc::clone(&self.memory))
    }

    /// Reads to the end and stores the file.
    pub(crate) async fn file<R: AsyncRead + Unpin>(
        &self,
        chunker: &mut Chunker<R>,
        path: &Path,
    ) -> Result<Stored, ImportError> {
        let mut tree = Balanced::new(self.options.max_links);
        let mut in_flight = FuturesOrdered::new();
        let mut leaves = 0u64;
        loop {
            tokio::select! {
                // What is stored frees memory for what is read.
                biased;
                Some(leaf) = in_flight.next() => tree.push(leaf?, self.sink).await?,
                chunk = chunker.next(), if !chunker.ended => {
                    let chunk = chunk.map_err(|source| ImportError::Read {
                        path: PathBuf::from(path),
                        source,
                    })?;
                    if let Some(chunk) = chunk {
                        leaves += 1;
                        in_flight.push_back(self.leaf(chunk));
                    }
                }
                else => break,
            }
        }
        if let Some((root, nodes)) = tree.finish(self.sink).await? {
            return Ok(Stored {
                root,
                blocks: leaves + nodes,
            });
        }
        // U5: an empty file is an empty raw block.
        let cid = sha256_cid(RAW, &[]);
        self.put(cid, bytes::Bytes::new()).await?;
        Ok(Stored {
            root: Subtree {
                cid,
                size: 0,
                tsize: 0,
            },
            blocks: 1,
        })
    }

    async fn leaf(&self, chunk: Chunk) -> Result<Subtree, ImportError> {
        let (cid, bytes) = hash_chunk(chunk.bytes).await;
        let size = bytes.len() as u64;
        self.put(cid, bytes).await?;
        drop(chunk.permit);
        (self.report)(Progress::Bytes(size));
        Ok(Subtree {
            cid,
            size,
            tsize: size,
        })
    }

    pub(crate) async fn put(&self, cid: Cid, bytes: bytes::Bytes) -> Result<(), ImportError> {
        self.sink
            .put(cid, bytes)
            .await
            .map_err(|source| ImportError::Sink { cid, source })
    }
}
