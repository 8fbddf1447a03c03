//! Blocks as one stream, cut into segments and put together again (H2, H3, H18).

use bytes::{Buf, Bytes, BytesMut};
use cid::Cid;
use unsigned_varint::encode as varint;

use crate::code::{Rate, SHARD};

/// Bytes of a CID with a 32-byte hash, at most, as it stands in the stream.
const MAX_CID: usize = 64;

/// What an entry of the stream has at most behind its length.
const MAX_ENTRY: usize = MAX_CID + blocks::MAX_BLOCK;

/// Cuts a stream into the data of segments.
pub struct Cutter {
    capacity: usize,
    segment: Vec<u8>,
    length: u64,
}

impl Cutter {
    /// For segments of which so many shards are data.
    pub fn new(rate: Rate) -> Cutter {
        let capacity = rate.capacity(SHARD);
        Cutter {
            capacity,
            segment: Vec::with_capacity(capacity),
            length: 0,
        }
    }

    /// Bytes of the stream so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds a block; the segments that are full now.
    pub fn push(&mut self, cid: &Cid, bytes: &[u8]) -> Vec<Vec<u8>> {
        let cid = cid.to_bytes();
        let mut buffer = varint::u64_buffer();
        let length = varint::u64((cid.len() + bytes.len()) as u64, &mut buffer);
        let mut full = Vec::new();
        for mut part in [length, &cid, bytes] {
            self.length += part.len() as u64;
            while !part.is_empty() {
                let room = self.capacity - self.segment.len();
                let (now, later) = part.split_at(room.min(part.len()));
                self.segment.extend_from_slice(now);
                part = later;
                if self.segment.len() == self.capacity {
                    let next = Vec::with_capacity(self.capacity);
                    full.push(std::mem::replace(&mut self.segment, next));
                }
            }
        }
        full
    }

    /// The last segment, if there is something in it.
    pub fn finish(self) -> Option<Vec<u8>> {
        (!self.segment.is_empty()).then_some(self.segment)
    }
}

/// Why a stream is none of blocks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// An entry has an impossible length.
    #[error("an entry of the stream has an impossible length")]
    Length,
    /// An entry does not begin with the CID of a block that is kept here.
    #[error("an entry of the stream does not begin with the CID of a block")]
    Cid,
    /// It ends inside an entry.
    #[error("the stream ends inside a block")]
    Cut,
}

/// Takes segments' data and gives blocks, not hashed.
#[derive(Default)]
pub struct Joiner {
    buffer: BytesMut,
}

impl Joiner {
    /// Adds the data of the next segment.
    pub fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next block that is there whole.
    pub fn next_block(&mut self) -> Result<Option<(Cid, Bytes)>, StreamError> {
        use unsigned_varint::decode::{self, Error};

        let (length, rest) = match decode::usize(&self.buffer) {
            Ok(read) => read,
            // As many as a length within bounds has, and some.
            Err(Error::Insufficient) if self.buffer.len() < 5 => return Ok(None),
            Err(_) => return Err(StreamError::Length),
        };
        if length == 0 || length > MAX_ENTRY {
            return Err(StreamError::Length);
        }
        if rest.len() < length {
            return Ok(None);
        }
        let begin = self.buffer.len() - rest.len();
        self.buffer.advance(begin);
        let mut entry = self.buffer.split_to(length).freeze();
        let mut unread = &entry[..];
        let cid = Cid::read_bytes(&mut unread).map_err(|_| StreamError::Cid)?;
        let begin = entry.len() - unread.len();
        if cid.to_bytes() != entry[..begin] {
            return Err(StreamError::Cid);
        }
        entry.advance(begin);
        Ok(Some((cid, entry)))
    }

    /// That it was all.
    pub fn finish(self) -> Result<(), StreamError> {
        match self.buffer.is_empty() {
            true => Ok(()),
            false => Err(StreamError::Cut),
        }
    }
}
