//! Where files are cut (U2, U19).

use std::fmt;
use std::str::FromStr;

use fastcdc::v2020::{FastCDC, Normalization};

use crate::profile::{CHUNK_SIZE, MAX_BLOCK};

/// The least chunk that a person may ask for, on average: a block is some work for each node
/// that keeps it, however small it is.
pub const MIN_CHUNK: usize = 4096;

/// The largest average of chunks that the content cuts: the longest are four times as long.
pub const MAX_AVERAGE: usize = MAX_BLOCK / 4;

/// The average unless another one is asked for.
const DEFAULT_AVERAGE: usize = 256 * 1024;

/// Where files are cut. The default is the profile's.
///
/// ```
/// use unixfs::Chunking;
/// assert_eq!("size-262144".parse(), Ok(Chunking::Size(262_144)));
/// assert_eq!("fastcdc".parse(), Ok(Chunking::FastCdc(262_144)));
/// assert!("fastcdc-5".parse::<Chunking>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunking {
    /// Every so many bytes.
    Size(usize),
    /// Where the content says so, every so many bytes on average: what is inserted in front moves
    /// the cuts behind it along. FastCDC (Xia et al., USENIX ATC 2016; IEEE TPDS 2020).
    FastCdc(usize),
}

impl Default for Chunking {
    fn default() -> Self {
        Chunking::Size(CHUNK_SIZE)
    }
}

impl Chunking {
    /// The longest chunk.
    pub(crate) fn longest(self) -> usize {
        match self {
            Chunking::Size(size) => size,
            Chunking::FastCdc(average) => 4 * average,
        }
    }

    /// Bytes of the first chunk of what begins like this: as much as the longest chunk, or all
    /// that is left.
    pub(crate) fn first(self, bytes: &[u8]) -> usize {
        match self {
            Chunking::Size(size) => bytes.len().min(size),
            Chunking::FastCdc(average) => {
                let (least, most) = (average / 4, 4 * average);
                let level = Normalization::Level1;
                let cutter = FastCDC::with_level(bytes, least, average, most, level);
                let (_, end) = cutter.cut(0, bytes.len());
                end
            }
        }
    }

    /// Why no file can be cut so.
    pub(crate) fn check(self) -> Result<(), &'static str> {
        match self {
            Chunking::Size(size) if !(1..=MAX_BLOCK).contains(&size) => {
                Err("chunk_size must be 1 to 2097152 bytes")
            }
            Chunking::FastCdc(average) if !(MIN_CHUNK..=MAX_AVERAGE).contains(&average) => {
                Err("the average of chunks must be 4096 to 524288 bytes")
            }
            // What the library cuts by halves and quarters.
            Chunking::FastCdc(average) if !average.is_multiple_of(8) => {
                Err("the average of chunks must be a multiple of 8")
            }
            Chunking::Size(_) | Chunking::FastCdc(_) => Ok(()),
        }
    }
}

impl fmt::Display for Chunking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Chunking::Size(size) => write!(f, "size-{size}"),
            Chunking::FastCdc(average) => write!(f, "fastcdc-{average}"),
        }
    }
}

/// Why a text does not say where files are cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkingError {
    /// It is none of those that are known.
    #[error("{0:?} is none of size-BYTES, fastcdc and fastcdc-BYTES")]
    Unknown(String),
    /// No file can be cut so.
    #[error("{text:?}: {reason}")]
    Impossible {
        /// What was said.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl FromStr for Chunking {
    type Err = ChunkingError;

    fn from_str(text: &str) -> Result<Self, ChunkingError> {
        let unknown = || ChunkingError::Unknown(text.to_owned());
        let number = |digits: &str| digits.parse::<usize>().map_err(|_| unknown());
        let impossible = |reason| ChunkingError::Impossible {
            text: text.to_owned(),
            reason,
        };
        let chunking = match text.split_once('-') {
            None if text == "fastcdc" => Chunking::FastCdc(DEFAULT_AVERAGE),
            Some(("fastcdc", average)) => Chunking::FastCdc(number(average)?),
            Some(("size", size)) => match number(size)? {
                size if size < MIN_CHUNK => {
                    return Err(impossible("chunks have at least 4096 bytes"));
                }
                size => Chunking::Size(size),
            },
            _ => return Err(unknown()),
        };
        chunking.check().map_err(impossible)?;
        Ok(chunking)
    }
}
