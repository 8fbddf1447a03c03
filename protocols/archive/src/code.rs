//! Shards of a segment, and a segment of shards (H3).

use bytes::Bytes;
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

/// Fragments of a segment at most.
pub const MAX_FRAGMENTS: usize = 64;

/// Fragments that are needed of a segment at most.
pub const MAX_NEEDED: usize = 32;

/// Bytes of a full shard: 16 of 32 then takes 8 MiB for a segment, which a processor's cache
/// has much of, and a fragment is still worth a request of its own.
pub const SHARD: usize = 256 * 1024;

/// Any `needed` of `fragments`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    needed: u8,
    fragments: u8,
}

/// What is not coded.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CodeError {
    /// The data of a segment is empty or does not fit one.
    #[error("a segment has 1 to {most} bytes, not {got}")]
    Length {
        /// As many as fit.
        most: usize,
        /// As many as came.
        got: usize,
    },
    /// Fewer shards than are needed, or shards that are none of this segment.
    #[error("these are not the shards of a segment: {0}")]
    Shards(#[from] reed_solomon_simd::Error),
}

impl Rate {
    /// Any `needed` of `fragments`, where that is within bounds: 1 to [`MAX_NEEDED`] of more,
    /// and of [`MAX_FRAGMENTS`] at most.
    pub fn new(needed: usize, fragments: usize) -> Option<Rate> {
        let sound =
            (1..=MAX_NEEDED).contains(&needed) && needed < fragments && fragments <= MAX_FRAGMENTS;
        sound.then_some(Rate {
            needed: needed as u8,
            fragments: fragments as u8,
        })
    }

    /// m.
    pub fn needed(self) -> usize {
        self.needed.into()
    }

    /// n.
    pub fn fragments(self) -> usize {
        self.fragments.into()
    }

    /// Bytes of each shard of a segment with so many bytes of data.
    pub fn shard_of(self, data: usize) -> usize {
        data.div_ceil(self.needed()).next_multiple_of(2).max(2)
    }

    /// Bytes of data in a full segment with shards of so many bytes.
    pub fn capacity(self, shard: usize) -> usize {
        self.needed() * shard
    }
}

/// Computes shards; keeps its working memory from one segment to the next.
pub struct Coder {
    rate: Rate,
    encoder: Option<ReedSolomonEncoder>,
    decoder: Option<ReedSolomonDecoder>,
}

impl Coder {
    /// One for this rate.
    pub fn new(rate: Rate) -> Coder {
        Coder {
            rate,
            encoder: None,
            decoder: None,
        }
    }

    /// Any how many of how many.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// All n shards of a segment's data, the first m of them the data itself.
    pub fn encode(&mut self, mut data: Vec<u8>) -> Result<Vec<Bytes>, CodeError> {
        let rate = self.rate;
        let most = rate.capacity(SHARD);
        if data.is_empty() || data.len() > most {
            let got = data.len();
            return Err(CodeError::Length { most, got });
        }
        let shard = rate.shard_of(data.len());
        data.resize(rate.capacity(shard), 0);
        let data = Bytes::from(data);
        let mut shards: Vec<Bytes> = (0..rate.needed())
            .map(|at| data.slice(at * shard..(at + 1) * shard))
            .collect();
        let (needed, more) = (rate.needed(), rate.fragments() - rate.needed());
        let encoder = match &mut self.encoder {
            Some(encoder) => {
                encoder.reset(needed, more, shard)?;
                encoder
            }
            none => none.insert(ReedSolomonEncoder::new(needed, more, shard)?),
        };
        for shard in &shards {
            encoder.add_original_shard(shard)?;
        }
        let computed = encoder.encode()?;
        shards.extend(computed.recovery_iter().map(Bytes::copy_from_slice));
        Ok(shards)
    }

    /// The data of a segment, with the zeros behind it, of m different shards or more, each
    /// with its index.
    pub fn decode(&mut self, shards: &[(usize, Bytes)]) -> Result<Vec<u8>, CodeError> {
        let rate = self.rate;
        let (needed, more) = (rate.needed(), rate.fragments() - rate.needed());
        let length = shards.first().map_or(0, |(_, shard)| shard.len());
        let decoder = match &mut self.decoder {
            Some(decoder) => {
                decoder.reset(needed, more, length)?;
                decoder
            }
            none => none.insert(ReedSolomonDecoder::new(needed, more, length)?),
        };
        for (index, shard) in shards {
            match index.checked_sub(needed) {
                None => decoder.add_original_shard(*index, shard)?,
                Some(index) => decoder.add_recovery_shard(index, shard)?,
            }
        }
        let decoded = decoder.decode()?;
        let mut data = vec![0; needed * length];
        let given = shards.iter().map(|(index, shard)| (*index, &shard[..]));
        let given = given.filter(|(index, _)| *index < needed);
        for (index, shard) in decoded.restored_original_iter().chain(given) {
            data[index * length..][..length].copy_from_slice(shard);
        }
        Ok(data)
    }
}
