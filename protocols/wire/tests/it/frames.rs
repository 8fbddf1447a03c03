//! W2 and W3: the codec, value in, value out.

use futures::{executor::block_on, io::Cursor};
use proptest::{collection::vec, prelude::*};
use wire::{FrameDecoder, FrameError, frame_header, read_frame, write_frame};

const MAX: usize = 300;

/// All frames of `bytes`, fed in pieces of the given lengths over and over.
fn decode_in_pieces(bytes: &[u8], pieces: &[usize]) -> Result<Vec<Vec<u8>>, FrameError> {
    let mut decoder = FrameDecoder::new(MAX);
    let (mut frames, mut rest) = (Vec::new(), bytes);
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (fed, later) = rest.split_at((*piece).min(rest.len()));
        decoder.feed(fed);
        rest = later;
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame.to_vec());
        }
    }
    Ok(frames)
}

fn read_all(bytes: &[u8]) -> (Vec<Vec<u8>>, FrameError) {
    block_on(async {
        let mut from = Cursor::new(bytes);
        let mut frames = Vec::new();
        loop {
            match read_frame(&mut from, MAX).await {
                Ok(frame) => frames.push(frame.to_vec()),
                Err(error) => return (frames, error),
            }
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        frames in vec(vec(any::<u8>(), 0..=MAX), 0..8),
        pieces in vec(1..200usize, 1..8),
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            block_on(write_frame(&mut bytes, frame, MAX)).expect("within the maximum");
        }
        prop_assert_eq!(&decode_in_pieces(&bytes, &pieces).expect("well formed"), &frames);
        let (read, end) = read_all(&bytes);
        prop_assert_eq!(&read, &frames);
        prop_assert!(matches!(end, FrameError::Closed));
    }

    #[test]
    fn garbage_never_panics_and_both_readers_agree(
        bytes in vec(any::<u8>(), 0..2000),
        pieces in vec(1..200usize, 1..8),
    ) {
        let (read, end) = read_all(&bytes);
        match decode_in_pieces(&bytes, &pieces) {
            Ok(frames) => {
                prop_assert_eq!(frames, read);
                prop_assert!(matches!(end, FrameError::Closed | FrameError::Io(_)));
            }
            Err(error) => {
                prop_assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&end));
            }
        }
    }
}

#[test]
fn limits_hold_on_both_ends() {
    let mut bytes = Vec::new();
    let error = block_on(write_frame(&mut bytes, &[0; MAX + 1], MAX)).expect_err("too long");
    assert!(matches!(error, FrameError::TooLong { length, max: MAX } if length == MAX + 1));
    assert!(
        bytes.is_empty(),
        "nothing may be written of a frame that is refused"
    );
    let (_, error) = read_all(&frame_header(MAX + 1));
    assert!(matches!(error, FrameError::TooLong { .. }));
}

#[test]
fn a_prefix_of_more_than_32_bits_is_none() {
    // Five bytes, minimally encoded, whose lowest 32 bits are zero.
    let bytes = [0x80, 0x80, 0x80, 0x80, 0x20, 1];
    let (read, error) = read_all(&bytes);
    assert_eq!(read, Vec::<Vec<u8>>::new());
    assert!(matches!(error, FrameError::BadPrefix), "{error}");
    let error = decode_in_pieces(&bytes, &[1]).expect_err("no length");
    assert!(matches!(error, FrameError::BadPrefix), "{error}");
}

#[test]
fn only_canonical_values_are_decoded() {
    let encoded = wire::encode(&300u32);
    assert_eq!(wire::decode::<u32>(&encoded), Ok(300));
    // Two bytes more than needed for the same number, and a byte after the value.
    wire::decode::<u32>(&[0x1a, 0, 0, 1, 0x2c]).expect_err("not minimal");
    wire::decode::<u32>(&[&encoded[..], &[0]].concat()).expect_err("trailing data");
    // A list in a list in a list, deeper than anything we speak.
    wire::decode::<Vec<u32>>(&[0x81; 100_000]).expect_err("nested");
}
