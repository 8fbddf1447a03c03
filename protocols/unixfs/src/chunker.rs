//! Cuts a reader into chunks (rules U2 and U19).

use std::io;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::chunking::Chunking;

/// A chunk, and its share of the memory that the import may use.
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    pub(crate) permit: OwnedSemaphorePermit,
}

pub(crate) struct Chunker<R> {
    reader: R,
    chunking: Chunking,
    partial: BytesMut,
    permit: Option<OwnedSemaphorePermit>,
    memory: Arc<Semaphore>,
    /// The reader has no more bytes.
    at_end: bool,
    /// The last call returned no chunk, or the last chunk.
    pub(crate) ended: bool,
}

impl<R: AsyncRead + Unpin> Chunker<R> {
    /// Each chunk in memory holds one permit of `memory`.
    pub(crate) fn new(reader: R, chunking: Chunking, memory: Arc<Semaphore>) -> Self {
        Chunker {
            reader,
            chunking,
            at_end: false,
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
        let longest = self.chunking.longest();
        while !self.at_end && self.partial.len() < longest {
            let room = longest - self.partial.len();
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
                self.at_end = true;
            }
        }
        let permit = self.permit.take().expect("taken above");
        if self.partial.is_empty() {
            self.ended = true;
            return Ok(None);
        }
        let bytes = match self.chunking {
            // All of it: no copy is made of what follows.
            Chunking::Size(_) => std::mem::take(&mut self.partial),
            Chunking::FastCdc(_) => {
                let end = self.chunking.first(&self.partial);
                let rest = BytesMut::from(&self.partial[end..]);
                let mut chunk = std::mem::replace(&mut self.partial, rest);
                chunk.truncate(end);
                chunk
            }
        };
        self.ended = self.at_end && self.partial.is_empty();
        // Who keeps a short chunk, as a store does until it writes it out, is not to keep the
        // buffer that it was read into.
        let bytes = match bytes.capacity() > 2 * bytes.len() {
            true => Bytes::copy_from_slice(&bytes),
            false => bytes.freeze(),
        };
        Ok(Some(Chunk { bytes, permit }))
    }

    /// The reader.
    pub(crate) fn get_ref(&self) -> &R {
        &self.reader
    }
}

/// Bytes asked for first: most files are smaller than a chunk.
const FIRST_READ: usize = 64 * 1024;
