//! Frames: an unsigned varint with the length, then as many bytes (W2, W3).

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A length prefix is a varint of at most 32 bits, so at most five bytes.
const MAX_HEADER: usize = 5;

/// How much is set aside for a frame before any of it has come. Zeroed pages that are
/// not written to cost nothing, and most frames need no second allocation.
const FIRST_ALLOCATION: usize = 1 << 20;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended where a frame would begin: a clean end.
    #[error("the stream has ended")]
    Closed,
    /// The frame is longer than this protocol allows. Both in bytes.
    #[error("a frame of {length} bytes, where {max} are allowed")]
    TooLong {
        /// What the prefix says.
        length: usize,
        /// What is allowed.
        max: usize,
    },
    /// The prefix is not a minimally encoded varint of 32 bits.
    #[error("the length prefix is not a valid varint")]
    BadPrefix,
    /// The stream failed, or ended inside a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The prefix of a frame of `length` bytes.
///
/// # Panics
///
/// If `length` does not fit into 32 bits.
pub fn frame_header(length: usize) -> Bytes {
    let length = u32::try_from(length).expect("frames are far smaller than 4 GiB");
    let mut buffer = unsigned_varint::encode::u32_buffer();
    Bytes::copy_from_slice(unsigned_varint::encode::u32(length, &mut buffer))
}

/// The length a prefix announces and how many bytes the prefix takes; `None` while it
/// is incomplete.
fn parse_header(bytes: &[u8], max: usize) -> Result<Option<(usize, usize)>, FrameError> {
    let head = &bytes[..bytes.len().min(MAX_HEADER)];
    // Five bytes have room for 35 bits, and the reader for 32 drops what is above them.
    match unsigned_varint::decode::u64(head) {
        Ok((length, rest)) => {
            let length = u32::try_from(length).map_err(|_| FrameError::BadPrefix)? as usize;
            if length > max {
                return Err(FrameError::TooLong { length, max });
            }
            Ok(Some((length, head.len() - rest.len())))
        }
        Err(unsigned_varint::decode::Error::Insufficient) if head.len() < MAX_HEADER => Ok(None),
        Err(_) => Err(FrameError::BadPrefix),
    }
}

/// Takes bytes as they come and gives out whole frames.
///
/// Holds no more than one frame of the maximum length and what was fed last.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    max: usize,
}

impl FrameDecoder {
    /// A decoder for frames of at most `max` bytes.
    pub fn new(max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            max,
        }
    }

    /// Appends what came. Call [`FrameDecoder::next_frame`] until it is empty before
    /// feeding more, or the buffer grows.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, without its prefix; `None` if it is not there yet.
    ///
    /// # Errors
    ///
    /// A prefix that is malformed or above the maximum. The stream has then lost its
    /// framing and must be dropped.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some((length, header)) = parse_header(&self.buffer, self.max)? else {
            return Ok(None);
        };
        if self.buffer.len() < header + length {
            return Ok(None);
        }
        self.buffer.advance(header);
        // A copy, so that a small message kept somewhere does not pin the read buffer.
        let frame = Bytes::copy_from_slice(&self.buffer[..length]);
        self.buffer.advance(length);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(Some(frame))
    }

    /// Whether a part of a frame is waiting for its rest.
    pub fn is_partial(&self) -> bool {
        !self.buffer.is_empty()
    }
}

/// Reads one frame of at most `max` bytes.
///
/// Memory is taken as the bytes come, never for the announced length at once.
///
/// # Errors
///
/// [`FrameError::Closed`] if the stream ends before the first byte; the others as they say.
pub async fn read_frame<R>(from: &mut R, max: usize) -> Result<Bytes, FrameError>
where
    R: AsyncRead + Unpin + ?Sized,
{
    let mut header = [0; MAX_HEADER];
    let mut filled = 0;
    let length = loop {
        if from.read(&mut header[filled..=filled]).await? == 0 {
            return Err(match filled {
                0 => FrameError::Closed,
                _ => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
            });
        }
        filled += 1;
        if let Some((length, _)) = parse_header(&header[..filled], max)? {
            break length;
        }
    };
    let mut frame = vec![0; length.min(FIRST_ALLOCATION)];
    let mut filled = 0;
    while filled < length {
        if filled == frame.len() {
            frame.resize(length.min(filled * 2), 0);
        }
        from.read_exact(&mut frame[filled..]).await?;
        filled = frame.len();
    }
    Ok(Bytes::from(frame))
}

/// Writes one frame. It does not flush: more may follow.
///
/// # Errors
///
/// [`FrameError::TooLong`] for more than `max` bytes, before anything is written.
pub async fn write_frame<W>(to: &mut W, frame: &[u8], max: usize) -> Result<(), FrameError>
where
    W: AsyncWrite + Unpin + ?Sized,
{
    if frame.len() > max {
        return Err(FrameError::TooLong {
            length: frame.len(),
            max,
        });
    }
    to.write_all(&frame_header(frame.len())).await?;
    to.write_all(frame).await?;
    Ok(())
}
