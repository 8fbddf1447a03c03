//! The tree over the shards of a segment, and fragments that prove themselves by it (H4, H6, H8).

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};

use crate::code::{CodeError, Coder, MAX_FRAGMENTS, Rate, SHARD};

/// The format of a fragment.
const FORMAT: u8 = 1;

/// Bytes before the way: format, m, n, index and the shard's length.
const HEADER: usize = 8;

const HASH: usize = 32;

/// Levels of the tree over as many shards as there can be.
const MAX_DEPTH: usize = MAX_FRAGMENTS.ilog2() as usize;

/// Bytes of a fragment at most.
pub const MAX_FRAGMENT: usize = HEADER + MAX_DEPTH * HASH + SHARD;

/// What a segment is called: it follows from its shards and how many of them are needed.
pub type Root = [u8; HASH];

/// Why bytes are no fragment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// They are too short or too long, or not what this format has in their place.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// They are of another format.
    #[error("its format is {0}, not {FORMAT}")]
    Format(u8),
    /// The way does not lead to the root, or it is another shard's.
    #[error("it is not the fragment of this segment with this index")]
    Mismatch,
}

/// A segment, coded.
pub struct Segment {
    rate: Rate,
    shards: Vec<Bytes>,
    /// The hashes of each level, the leaves first.
    levels: Vec<Vec<Root>>,
    root: Root,
}

impl Segment {
    /// Codes the data of a segment.
    pub fn encode(coder: &mut Coder, data: Vec<u8>) -> Result<Segment, CodeError> {
        let rate = coder.rate();
        let shards = coder.encode(data)?;
        let mut leaves: Vec<Root> = shards.iter().map(|shard| leaf(shard)).collect();
        leaves.resize(leaves.len().next_power_of_two(), [0; HASH]);
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let level = below.chunks(2).map(|pair| node(&pair[0], &pair[1]));
            levels.push(level.collect());
        }
        let top = levels.last().expect("a tree has leaves")[0];
        let length = shards.first().map_or(0, Bytes::len);
        Ok(Segment {
            root: root(rate, length, &top),
            rate,
            shards,
            levels,
        })
    }

    /// What it is called.
    pub fn root(&self) -> Root {
        self.root
    }

    /// One of its fragments.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn fragment(&self, index: usize) -> Bytes {
        let shard = &self.shards[index];
        let depth = self.levels.len() - 1;
        let mut bytes = BytesMut::with_capacity(HEADER + depth * HASH + shard.len());
        bytes.put_u8(FORMAT);
        bytes.put_u8(self.rate.needed() as u8);
        bytes.put_u8(self.rate.fragments() as u8);
        bytes.put_u8(index as u8);
        bytes.put_u32(shard.len() as u32);
        for (height, level) in self.levels[..depth].iter().enumerate() {
            bytes.put_slice(&level[(index >> height) ^ 1]);
        }
        bytes.put_slice(shard);
        bytes.freeze()
    }
}

/// One shard of a segment, whose place in it has been proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// How many are needed of how many.
    pub rate: Rate,
    /// Which one it is.
    pub index: usize,
    /// Its bytes.
    pub shard: Bytes,
}

impl Fragment {
    /// Reads a fragment of the segment `wanted` with this index, and checks that it is one.
    pub fn verify(wanted: &Root, index: usize, bytes: &Bytes) -> Result<Fragment, FragmentError> {
        let malformed = FragmentError::Malformed;
        let header = bytes
            .first_chunk::<HEADER>()
            .ok_or(malformed("too short"))?;
        let [format, needed, fragments, at, length @ ..] = *header;
        if format != FORMAT {
            return Err(FragmentError::Format(format));
        }
        let rate = Rate::new(needed.into(), fragments.into()).ok_or(malformed("m of n"))?;
        if usize::from(at) != index || index >= rate.fragments() {
            return Err(FragmentError::Mismatch);
        }
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 || length > SHARD || !length.is_multiple_of(2) {
            return Err(malformed("length of the shard"));
        }
        let depth = rate.fragments().next_power_of_two().ilog2() as usize;
        let shard_at = HEADER + depth * HASH;
        if bytes.len() != shard_at + length {
            return Err(malformed("length"));
        }
        let shard = bytes.slice(shard_at..);
        let way = bytes[HEADER..shard_at].chunks_exact(HASH);
        let top = way
            .enumerate()
            .fold(leaf(&shard), |hash, (height, beside)| {
                match (index >> height) & 1 {
                    0 => node(&hash, beside),
                    _ => node(beside, &hash),
                }
            });
        match root(rate, length, &top) == *wanted {
            true => Ok(Fragment { rate, index, shard }),
            false => Err(FragmentError::Mismatch),
        }
    }
}

fn leaf(shard: &[u8]) -> Root {
    let hash = Sha256::new().chain_update([0]).chain_update(shard);
    hash.finalize().into()
}

fn node(left: &[u8], right: &[u8]) -> Root {
    let hash = Sha256::new().chain_update([1]).chain_update(left);
    hash.chain_update(right).finalize().into()
}

fn root(rate: Rate, length: usize, top: &Root) -> Root {
    let hash = Sha256::new()
        .chain_update(b"hedgerow segment 1\0")
        .chain_update([rate.needed() as u8, rate.fragments() as u8])
        .chain_update((length as u32).to_be_bytes())
        .chain_update(top);
    hash.finalize().into()
}
