//! A file goes to a writer (rule U12).

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use cid::Cid;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::blocks::BlockSource;
use crate::error::ExportError;
use crate::walk::{Content, Walk};

/// Writes a file, in order, and returns its length. The writer is flushed, not shut down.
///
/// At most `concurrency` blocks are asked for at a time. What was written before an error is
/// verified content: the beginning of the file.
pub async fn export_to_writer<S, W>(
    cid: &Cid,
    source: &S,
    writer: &mut W,
    concurrency: usize,
) -> Result<u64, ExportError>
where
    S: BlockSource + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let write_error = |source| ExportError::Write {
        path: PathBuf::from("-"),
        source,
    };
    let ahead = Arc::new(Semaphore::new(concurrency.saturating_sub(1)));
    let mut walk = Walk::new(*cid, source, None, ahead);
    let mut written = 0;
    while let Some(piece) = walk.next().await? {
        let Content::Bytes(bytes) = piece.content else {
            unreachable!("nothing is kept where there is no part file")
        };
        debug_assert_eq!(piece.offset, written, "pieces follow one another");
        writer.write_all(&bytes).await.map_err(write_error)?;
        written += bytes.len() as u64;
    }
    writer.flush().await.map_err(write_error)?;
    Ok(written)
}

/// Writes the bytes of a file that lie in `range`, in order, and returns how many there are:
/// fewer where the file ends before. Blocks that hold none of them are not asked for.
///
/// As [`export_to_writer`] else.
pub async fn export_range<S, W>(
    cid: &Cid,
    source: &S,
    writer: &mut W,
    range: Range<u64>,
    concurrency: usize,
) -> Result<u64, ExportError>
where
    S: BlockSource + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let write_error = |source| ExportError::Write {
        path: PathBuf::from("-"),
        source,
    };
    let ahead = Arc::new(Semaphore::new(concurrency.saturating_sub(1)));
    let mut walk = Walk::new(*cid, source, None, ahead).within(range.clone());
    let mut written = 0;
    while let Some(piece) = walk.next().await? {
        let Content::Bytes(bytes) = piece.content else {
            unreachable!("nothing is kept where there is no part file")
        };
        let length = bytes.len() as u64;
        let from = range.start.saturating_sub(piece.offset).min(length);
        let to = range.end.saturating_sub(piece.offset).clamp(from, length);
        let wanted = &bytes[from as usize..to as usize];
        writer.write_all(wanted).await.map_err(write_error)?;
        written += to - from;
    }
    writer.flush().await.map_err(write_error)?;
    Ok(written)
}
