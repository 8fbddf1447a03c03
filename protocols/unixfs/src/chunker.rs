//! Cuts a reader into chunks of one size, the last one shorter (rule U2).

use std::io;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A chunk, and its share of the memory that the import may use.
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    pub(crate) permit: OwnedSemaphorePermit,
}

pub(crate) struct Chunker<R> {
    reader: R,
    size: usize,
    partial: BytesMut,
    permit: Option<OwnedSemaphorePermit>,
    memory: Arc<Semaphore>,
    /// The last call returned no chunk, or the last chunk.
    pub(crate) ended: bool,
}

impl<R: AsyncRead + Unpin> Chunker<R> {
    /// Each chunk in memory holds one permit of `memory`.
    pub(crate) fn new(reader: R, size: usize, memory: Arc<Semaphore>) -> Self {
        Chunker {
            reader,
            size,
            partial: BytesMut::new(),
            permit: None,
            memory,
            ended: false,
        }
    }

    /// The next chunk; none at the end. May be dropped and called again: what was read stays.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Chunk>> {
        if self.permit.is_none() {
            let permit = Arc::clone(&self.memory).acquire_owned().await;
            self.permit = Some(permit.expect("the semaphore is never closed"));
        }
        while self.partial.len() < self.size {
            let room = self.size - self.partial.len();
            if self.partial.capacity() == self.partial.len() {
                // Small files get small buffers; from then on grow to a whole chunk.
                let grow = if self.partial.is_empty() {
                    room.min(FIRST_READ)
                } else {
                    room
                };
                self.partial.reserve(grow);
            }
            if self
                .reader
                .read_buf(&mut (&mut self.partial).limit(room))
                .await?
                == 0
            {
                self.ended = true;
                break;
            }
        }
        let permit = self.permit.take().expect("taken above");
        if self.partial.is_empty() {
            return Ok(None);
        }
        Ok(Some(Chunk {
            bytes: std::mem::take(&mut self.partial).freeze(),
            permit,
        }))
    }

    /// The reader.
    pub(crate) fn get_ref(&self) -> &R {
        &self.reader
    }
}

/// Bytes asked for first: most files are smaller than a chunk.
const FIRST_READ: usize = 64 * 1024;
