//! Bodies in aws-chunked framing, cut into pieces that take little memory (K13).
//!
//! The library below collects a chunk before it looks at it, and some clients send a whole
//! file as one. Chunks without signatures are cut here into smaller ones; one with a signature
//! can only be taken whole.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};

/// Longest signed chunk; those of clients have 64 KiB to 1 MiB.
pub(super) const MAX_SIGNED: u64 = 4 << 20;

/// Longest line that begins a chunk, and longest end of a body.
const MAX_LINE: usize = 1024;
const MAX_TRAILERS: usize = 16 * 1024;

/// Why a body is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChunkError {
    /// The connection failed.
    #[error("the body broke off")]
    Body(#[source] axum::Error),
    /// Not what the framing looks like.
    #[error("the body is not aws-chunked")]
    Malformed,
    /// A chunk that would have to be held in memory.
    #[error("a signed chunk has {MAX_SIGNED} bytes at most")]
    TooLong,
}

/// What comes next in a body.
enum At {
    /// The line that says how long a chunk is.
    Line,
    /// So many bytes of a chunk, and whether it is passed on as it is.
    Data(u64, bool),
    /// The end of a line behind a chunk, as far as it has not come.
    End(usize, bool),
    /// What follows the last chunk.
    Trailers(usize),
}

struct Cutter<S> {
    body: S,
    at: At,
    line: BytesMut,
}

/// The same body in chunks that are short, or signed.
pub(super) fn cut<S>(body: S) -> impl Stream<Item = Result<Bytes, ChunkError>>
where
    S: Stream<Item = Result<Bytes, axum::Error>> + Unpin,
{
    let cutter = Cutter {
        body,
        at: At::Line,
        line: BytesMut::new(),
    };
    stream::try_unfold(Some(cutter), |cutter| async {
        let Some(mut cutter) = cutter else {
            return Ok(None);
        };
        loop {
            let Some(piece) = cutter.body.next().await else {
                return Ok(None);
            };
            let out = cutter.take(piece.map_err(ChunkError::Body)?)?;
            if !out.is_empty() {
                return Ok(Some((out, Some(cutter))));
            }
        }
    })
}

impl<S> Cutter<S> {
    /// What a piece of the body becomes.
    fn take(&mut self, mut piece: Bytes) -> Result<Bytes, ChunkError> {
        let mut out = BytesMut::with_capacity(piece.len() + 64);
        while !piece.is_empty() {
            match self.at {
                At::Line => {
                    let end = piece.iter().position(|byte| *byte == b'\n');
                    let part = piece.split_to(end.map_or(piece.len(), |at| at + 1));
                    self.line.extend_from_slice(&part);
                    if self.line.len() > MAX_LINE {
                        return Err(ChunkError::Malformed);
                    }
                    if end.is_some() {
                        let line = self.line.split();
                        self.begin(&line, &mut out)?;
                    }
                }
                At::Data(left, signed) => {
                    let part = piece
                        .split_to(piece.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                    let left = left - part.len() as u64;
                    if signed {
                        out.extend_from_slice(&part);
                    } else {
                        out.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                        out.extend_from_slice(&part);
                        out.extend_from_slice(b"\r\n");
                    }
                    self.at = match left {
                        0 => At::End(2, signed),
                        left => At::Data(left, signed),
                    };
                }
                At::End(left, signed) => {
                    let part = piece.split_to(piece.len().min(left));
                    let wanted = &b"\r\n"[2 - left..][..part.len()];
                    if &part[..] != wanted {
                        return Err(ChunkError::Malformed);
                    }
                    if signed {
                        out.extend_from_slice(&part);
                    }
                    self.at = match left - part.len() {
                        0 => At::Line,
                        left => At::End(left, signed),
                    };
                }
                At::Trailers(before) => {
                    let all = before + piece.len();
                    if all > MAX_TRAILERS {
                        return Err(ChunkError::Malformed);
                    }
                    out.extend_from_slice(&piece);
                    self.at = At::Trailers(all);
                    piece.clear();
                }
            }
        }
        Ok(out.freeze())
    }

    /// Reads the line that begins a chunk.
    fn begin(&mut self, line: &[u8], out: &mut BytesMut) -> Result<(), ChunkError> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let digits = &line[..digits.count()];
        let text = std::str::from_utf8(digits).map_err(|_| ChunkError::Malformed)?;
        let size = u64::from_str_radix(text, 16).map_err(|_| ChunkError::Malformed)?;
        let signed = line.get(digits.len()) == Some(&b';');
        if signed && size > MAX_SIGNED {
            return Err(ChunkError::TooLong);
        }
        if size == 0 || signed {
            out.extend_from_slice(line);
        }
        self.at = match size {
            0 => At::Trailers(0),
            size => At::Data(size, signed),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(body: &[u8], step: usize) -> Result<Vec<u8>, ChunkError> {
        let pieces = body
            .chunks(step)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)));
        let pieces: Vec<Result<Bytes, axum::Error>> = pieces.collect();
        let mut cut = std::pin::pin!(cut(stream::iter(pieces)));
        let mut out = Vec::new();
        while let Some(piece) = cut.next().await {
            out.extend_from_slice(&piece?);
        }
        Ok(out)
    }

    #[tokio::test]
    async fn large_chunks_become_small_ones_and_the_rest_stays() {
        let mut body = b"100000\r\n".to_vec();
        body.extend(vec![7; 1 << 20]);
        body.extend_from_slice(b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
        let out = all(&body, 50_000).await.unwrap();
        let mut rest = &out[..];
        let mut content = 0;
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let size = std::str::from_utf8(&rest[..end - 1]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            rest = &rest[end + 1..];
            if size == 0 {
                break;
            }
            assert!(size <= 50_000);
            content += size;
            rest = rest[size..].strip_prefix(b"\r\n").unwrap();
        }
        assert_eq!(content, 1 << 20);
        assert_eq!(rest, b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n");
    }

    #[tokio::test]
    async fn signed_chunks_stay_as_they_are() {
        let signature = "a".repeat(64);
        let body = format!(
            "5;chunk-signature={signature}\r\nhello\r\n0;chunk-signature={signature}\r\n\r\n"
        );
        for step in [1, 2, 7, 1000] {
            assert_eq!(all(body.as_bytes(), step).await.unwrap(), body.as_bytes());
        }
        let body = format!("500000;chunk-signature={signature}\r\n");
        assert!(matches!(
            all(body.as_bytes(), 9).await,
            Err(ChunkError::TooLong)
        ));
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        let long = [b'1'; 2000];
        for body in [&b"xyz\r\n"[..], b"5\r\nhelloXX", &long, b"\r\n"] {
            assert!(matches!(all(body, 3).await, Err(ChunkError::Malformed)));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_cut_without_a_panic(
            body in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            step in 1usize..20,
        ) {
            let _ = futures::executor::block_on(all(&body, step));
        }
    }
}
