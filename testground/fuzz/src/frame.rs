//! Frames (W2, W3): both readers of the crate `wire` on the same bytes.

use futures::executor::block_on;
use wire::{FrameDecoder, FrameError};

use crate::allocated::allocated_by;

/// What a reader may take besides what it was sent: the first allocation for a frame, and
/// small change.
const ALLOWANCE: u64 = (1 << 20) + (64 << 10);

/// How a stream of frames ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Clean,
    InsideAFrame,
    TooLong(usize),
    BadPrefix,
}

/// Bytes taken for each that was sent: one byte is a frame, which is a `Vec` in a list that
/// grows by doubling.
const FACTOR: u64 = 64;

/// Two bytes and three bits for the longest frame, five bits for how much comes at a time,
/// and a stream.
///
/// # Panics
/// When the two readers disagree, give out a frame above the limit or one that is not what
/// was sent, or take more memory than was sent.
pub fn run(data: &[u8]) {
    let [low, high, third, stream @ ..] = data else {
        return;
    };
    let max = usize::from(u16::from_le_bytes([*low, *high])) << (third & 7);
    let chunk = usize::from(third >> 3) + 1;
    let (decoded, took) = allocated_by(|| decode(stream, max, chunk));
    assert!(
        took <= ALLOWANCE + FACTOR * (stream.len() as u64 + chunk as u64),
        "the decoder took {took} bytes for {}",
        stream.len()
    );
    let (read, took) = allocated_by(|| block_on(read(stream, max)));
    assert!(
        took <= ALLOWANCE + FACTOR * stream.len() as u64,
        "the reader took {took} bytes for {}",
        stream.len()
    );
    assert_eq!(decoded, read, "two readers, two answers");

    // What was read is what stood there, and writing it gives the same bytes.
    let mut written = Vec::new();
    for frame in &read.0 {
        assert!(frame.len() <= max, "a frame above the limit");
        let wrote = block_on(wire::write_frame(&mut written, frame, max));
        wrote.expect("what may be read may be written");
    }
    assert!(stream.starts_with(&written), "a frame has two encodings");
    if read.1 == End::Clean {
        assert_eq!(stream, written, "bytes were passed over");
    }
}

fn decode(stream: &[u8], max: usize, chunk: usize) -> (Vec<Vec<u8>>, End) {
    let mut decoder = FrameDecoder::new(max);
    let mut frames = Vec::new();
    for chunk in stream.chunks(chunk) {
        decoder.feed(chunk);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (frames, end(&error)),
            }
        }
    }
    let end = if decoder.is_partial() {
        End::InsideAFrame
    } else {
        End::Clean
    };
    (frames, end)
}

async fn read(mut stream: &[u8], max: usize) -> (Vec<Vec<u8>>, End) {
    let mut frames = Vec::new();
    loop {
        match wire::read_frame(&mut stream, max).await {
            Ok(frame) => frames.push(frame.to_vec()),
            Err(error) => return (frames, end(&error)),
        }
    }
}

fn end(error: &FrameError) -> End {
    match error {
        FrameError::Closed => End::Clean,
        FrameError::TooLong { length, .. } => End::TooLong(*length),
        FrameError::BadPrefix => End::BadPrefix,
        FrameError::Io(_) => End::InsideAFrame,
    }
}
