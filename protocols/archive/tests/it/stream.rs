//! Blocks go through segments and come out again.

use archive::{Cutter, Joiner, Rate, SHARD, StreamError};
use bytes::Bytes;
use proptest::prelude::*;

use crate::support::{noise, raw};

fn blocks_of(joiner: &mut Joiner) -> Result<Vec<Bytes>, StreamError> {
    let mut blocks = Vec::new();
    while let Some((cid, bytes)) = joiner.next_block()? {
        assert_eq!(cid, raw(&bytes));
        blocks.push(bytes);
    }
    Ok(blocks)
}

#[test]
fn blocks_span_segments() {
    let rate = Rate::new(1, 2).unwrap();
    let mut cutter = Cutter::new(rate);
    let lengths = [0, 1, SHARD - 40, SHARD, 2 * SHARD + 1, 7, blocks::MAX_BLOCK];
    let blocks = lengths.map(|length| noise(length as u64, length));
    let mut segments = Vec::new();
    for block in &blocks {
        segments.extend(cutter.push(&raw(block), block));
    }
    let length = cutter.length();
    segments.extend(cutter.finish());
    assert_eq!(segments.iter().map(Vec::len).sum::<usize>() as u64, length);
    assert!(
        segments[..segments.len() - 1]
            .iter()
            .all(|one| one.len() == SHARD)
    );
    let mut joiner = Joiner::default();
    let mut found = Vec::new();
    for segment in segments {
        joiner.push(&segment);
        found.extend(blocks_of(&mut joiner).unwrap());
    }
    joiner.finish().unwrap();
    assert_eq!(found, blocks.map(Bytes::from));
}

#[test]
fn what_is_no_stream_of_blocks_is_an_error() {
    let feed = |bytes: &[u8]| {
        let mut joiner = Joiner::default();
        joiner.push(bytes);
        blocks_of(&mut joiner).and_then(|blocks| joiner.finish().map(|()| blocks.len()))
    };
    assert_eq!(feed(&[]), Ok(0));
    // No length, one that is too long, one that does not end, one that is longer than it need be.
    assert_eq!(feed(&[0]), Err(StreamError::Length));
    assert_eq!(feed(&[0xff, 0xff, 0xff, 0x7f, 1]), Err(StreamError::Length));
    assert_eq!(feed(&[0xff; 12]), Err(StreamError::Length));
    assert_eq!(feed(&[0x81, 0x00, 9]), Err(StreamError::Length));
    assert_eq!(feed(&[3, 9, 9, 9]), Err(StreamError::Cid));
    assert_eq!(feed(&[3, 1]), Err(StreamError::Cut));
    assert_eq!(feed(&[0x80]), Err(StreamError::Cut));
}

proptest! {
    #[test]
    fn anything_at_all_ends(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8)) {
        let mut joiner = Joiner::default();
        for part in parts {
            joiner.push(&part);
            loop {
                match joiner.next_block() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
        }
    }
}
