//! Blocks that have just come from elsewhere (C9).

use std::collections::VecDeque;

use bytes::Bytes;
use cid::Cid;

/// Bytes that are held: four of the largest blocks, and many more of those that are read
/// twice, which say what a directory has in it.
const MAX_BYTES: usize = 8 << 20;

/// Blocks that are held, however small: looking for one goes through all.
const MAX_BLOCKS: usize = 256;

/// The blocks that came last, the newest at the end.
#[derive(Default)]
pub(super) struct Held {
    blocks: VecDeque<(Cid, Bytes)>,
    bytes: usize,
}

impl Held {
    /// The block, if it is one of those that came last.
    pub(super) fn get(&self, cid: &Cid) -> Option<Bytes> {
        let mut newest_first = self.blocks.iter().rev();
        let found = newest_first.find(|(held, _)| held == cid);
        found.map(|(_, bytes)| bytes.clone())
    }

    /// Holds a block, whose bytes have been checked; the oldest make room.
    pub(super) fn add(&mut self, cid: Cid, bytes: Bytes) {
        self.bytes += bytes.len();
        self.blocks.push_back((cid, bytes));
        while self.bytes > MAX_BYTES || self.blocks.len() > MAX_BLOCKS {
            let Some((_, oldest)) = self.blocks.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blocks::{Block, RAW};

    fn block(content: Vec<u8>) -> (Cid, Bytes) {
        let block = Block::of(RAW, content.into()).expect("small enough");
        (*block.cid(), block.bytes().clone())
    }

    #[test]
    fn the_newest_are_held_up_to_so_many_bytes() {
        let mut held = Held::default();
        let all: Vec<_> = (0..5).map(|seed| block(vec![seed; 2 << 20])).collect();
        for (cid, bytes) in &all {
            held.add(*cid, bytes.clone());
            assert_eq!(held.get(cid).as_ref(), Some(bytes));
            assert!(held.bytes <= MAX_BYTES);
        }
        assert_eq!(held.get(&all[0].0), None);
        assert_eq!(held.get(&all[1].0).as_ref(), Some(&all[1].1));
    }

    #[test]
    fn small_ones_are_bounded_too() {
        let mut held = Held::default();
        let all: Vec<_> = (0..=MAX_BLOCKS)
            .map(|number| block(number.to_be_bytes().to_vec()))
            .collect();
        for (cid, bytes) in &all {
            held.add(*cid, bytes.clone());
        }
        assert_eq!(held.blocks.len(), MAX_BLOCKS);
        assert_eq!(held.get(&all[0].0), None);
        assert!(held.get(&all[MAX_BLOCKS].0).is_some());
    }
}
