//! The signed list of all that is needed to restore a version (H10 to H13).
//!
//! A [`Manifest`] in memory is always genuine: both ways to make one, signing and decoding, end
//! in checked signatures, its record's and its own, and it is within bounds.

use std::fmt;

use bytes::Bytes;
use guid::Guid;
use libp2p_identity::{Keypair, SigningError};
use objects::{MAX_RECORD, Record, RecordError};
use replicas::{Entry, ItemId};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes as SerdeBytes};
use sha2::{Digest, Sha256};

use crate::code::{Rate, SHARD};
use crate::names::{FragmentName, ManifestName, column, series, version_of};
use crate::segment::Root;

/// The format that is written and read.
pub const FORMAT: u64 = 1;

/// Segments of a version at most: 1 MiB of roots, which a node keeps for each archive.
pub const MAX_SEGMENTS: usize = 32_768;

/// Blocks of a version at most.
pub const MAX_BLOCKS: u64 = 1 << 20;

/// Bytes of a manifest at most: the roots, the record, and salts, signature and numbers.
pub const MAX_MANIFEST: usize = MAX_SEGMENTS * 32 + MAX_RECORD + 2048;

/// Latest time of archiving, Unix seconds.
const MAX_MADE: u64 = (1 << 40) - 1;

/// What precedes the encoding in the signed bytes (H11).
pub const SIGNING_DOMAIN: &[u8] = b"hedgerow/archive/manifest/1\0";

/// What an archive is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// How many fragments of how many are needed.
    pub rate: Rate,
    /// When it was archived, Unix seconds.
    pub made: u64,
    /// The segments, in order.
    pub roots: Vec<Root>,
    /// The salt of each column.
    pub salts: Vec<u32>,
    /// Bytes of a full shard.
    pub shard: usize,
    /// Blocks in the stream.
    pub blocks: u64,
    /// Bytes of the stream.
    pub length: u64,
}

/// One archived version. Equal when the encodings are equal.
#[derive(Clone)]
pub struct Manifest {
    contents: Contents,
    record: Record,
    series: Guid,
    encoded: Bytes,
}

/// Why something is no manifest.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ManifestError {
    /// More than [`MAX_MANIFEST`] bytes.
    #[error("{0} bytes, at most {MAX_MANIFEST} are allowed")]
    TooLarge(usize),
    /// It is not DAG-CBOR of the fields.
    #[error("malformed: {0}")]
    Malformed(String),
    /// It is of another format.
    #[error("its format is {0}, not {FORMAT}")]
    Format(u64),
    /// A field is out of its bounds or does not fit the others.
    #[error("{0}")]
    Bounds(&'static str),
    /// The same content encoded otherwise.
    #[error("it is not in its one encoding")]
    NotCanonical,
    /// The record in it is none.
    #[error("the record in it: {0}")]
    Record(#[from] RecordError),
    /// The owner of the object has not signed it.
    #[error("the owner of the object has not signed it")]
    Forged,
    /// It is the manifest of another version than its name says.
    #[error("it is another version's")]
    Other,
}

/// Why a manifest was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Its contents are out of bounds.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] SigningError),
}

/// The fields that are signed. DAG-CBOR orders them by length of name, then by name.
#[derive(Serialize)]
struct Unsigned<'a> {
    m: u64,
    n: u64,
    v: u64,
    made: u64,
    roots: &'a SerdeBytes,
    salts: &'a [u32],
    shard: u64,
    blocks: u64,
    length: u64,
    record: &'a SerdeBytes,
}

#[derive(Serialize)]
struct SignedRef<'a> {
    m: u64,
    n: u64,
    v: u64,
    made: u64,
    roots: &'a SerdeBytes,
    salts: &'a [u32],
    shard: u64,
    blocks: u64,
    length: u64,
    record: &'a SerdeBytes,
    signature: &'a SerdeBytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    m: u64,
    n: u64,
    v: u64,
    made: u64,
    roots: ByteBuf,
    salts: Vec<u32>,
    shard: u64,
    blocks: u64,
    length: u64,
    record: ByteBuf,
    signature: ByteBuf,
}

impl Manifest {
    /// Signs what an archive of `record`'s version is made of; the key has to be the object's
    /// owner's.
    pub fn sign(
        keypair: &Keypair,
        record: Record,
        contents: Contents,
    ) -> Result<Manifest, SignError> {
        check(&contents, &record)?;
        if keypair.public() != *record.author() {
            return Err(ManifestError::Forged.into());
        }
        let roots = contents.roots.concat();
        let unsigned = unsigned(&contents, &roots, &record);
        let signature = keypair.sign(&signed_bytes(&unsigned))?;
        let encoded: Bytes = encode(&unsigned.with(&signature)).into();
        Ok(Manifest {
            series: series(&record.vguid(), contents.made),
            contents,
            record,
            encoded,
        })
    }

    /// Reads a manifest and checks form, bounds and both signatures.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let signed: Signed = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| ManifestError::Malformed(error.to_string()))?;
        if signed.v != FORMAT {
            return Err(ManifestError::Format(signed.v));
        }
        let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let rate = Rate::new(small(signed.m), small(signed.n));
        let roots = signed.roots.chunks_exact(32);
        if !roots.remainder().is_empty() {
            return Err(ManifestError::Bounds("a root has 32 bytes"));
        }
        let contents = Contents {
            rate: rate.ok_or(ManifestError::Bounds("m of n"))?,
            made: signed.made,
            roots: roots.filter_map(|root| root.try_into().ok()).collect(),
            salts: signed.salts,
            shard: small(signed.shard),
            blocks: signed.blocks,
            length: signed.length,
        };
        let record = Record::decode(&signed.record)?;
        check(&contents, &record)?;
        let unsigned = unsigned(&contents, &signed.roots, &record);
        if encode(&unsigned.with(&signed.signature)) != bytes {
            return Err(ManifestError::NotCanonical);
        }
        let signed_by = record.author();
        if !signed_by.verify(&signed_bytes(&unsigned), &signed.signature) {
            return Err(ManifestError::Forged);
        }
        Ok(Manifest {
            series: series(&record.vguid(), contents.made),
            encoded: Bytes::copy_from_slice(bytes),
            contents,
            record,
        })
    }

    /// What it is made of.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// How many fragments of how many are needed.
    pub fn rate(&self) -> Rate {
        self.contents.rate
    }

    /// The record of the version.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its encoding: what travels and what is kept.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// Which of two manifests of a version replaces the other (H13).
    pub fn version(&self) -> u64 {
        let digest = Sha256::digest(&self.encoded);
        let low = u64::from_be_bytes([0, 0, 0, 0, 0, digest[0], digest[1], digest[2]]);
        self.contents.made << 24 | low
    }

    /// Segments.
    pub fn segments(&self) -> usize {
        self.contents.roots.len()
    }

    /// Bytes of data in a segment; the last may have fewer than the others.
    pub fn data_of(&self, segment: usize) -> usize {
        let capacity = self.rate().capacity(self.contents.shard) as u64;
        let before = capacity * segment as u64;
        self.contents.length.saturating_sub(before).min(capacity) as usize
    }

    /// Where the fragments with an index are.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn place_of(&self, index: usize) -> Guid {
        column(self.series, index as u8, self.contents.salts[index])
    }

    /// The name of a fragment.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn fragment(&self, segment: usize, index: usize) -> ItemId {
        let name = FragmentName {
            root: self.contents.roots[segment],
            series: self.series,
            index: index as u8,
            salt: self.contents.salts[index],
        };
        name.encode()
    }

    /// All fragments with an index, in the order of the segments.
    pub(crate) fn column(&self, index: usize) -> Vec<Entry> {
        let guid = self.place_of(index);
        let entry = |segment| Entry {
            guid,
            id: self.fragment(segment, index),
            version: 0,
        };
        (0..self.segments()).map(entry).collect()
    }

    /// The names under which it is kept.
    pub(crate) fn names(&self) -> [ManifestName; 2] {
        names_of(&self.record)
    }

    /// Reads the manifest that is called so.
    pub(crate) fn decode_as(name: &ManifestName, bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let manifest = Manifest::decode(bytes)?;
        match manifest.names().contains(name) {
            true => Ok(manifest),
            false => Err(ManifestError::Other),
        }
    }
}

/// The names of the manifest of the version with this record.
pub(crate) fn names_of(record: &Record) -> [ManifestName; 2] {
    let version = version_of(&record.vguid()).expect("a VGUID has a SHA-256");
    let (aguid, seq) = (record.aguid(), record.seq());
    [
        ManifestName::ByObject {
            aguid,
            seq,
            version,
        },
        ManifestName::ByVersion(version),
    ]
}

fn check(contents: &Contents, record: &Record) -> Result<(), ManifestError> {
    let bounds = |what| Err(ManifestError::Bounds(what));
    let Contents {
        rate,
        made,
        roots,
        salts,
        shard,
        blocks,
        length,
    } = contents;
    if record.is_removal() {
        return bounds("a removal has nothing to archive");
    }
    if *made > MAX_MADE {
        return bounds("it was made too far in the future");
    }
    if *shard == 0 || *shard > SHARD || !shard.is_multiple_of(2) {
        return bounds("the length of a shard");
    }
    if salts.len() != rate.fragments() {
        return bounds("each column has one salt");
    }
    if *blocks == 0 || *blocks > MAX_BLOCKS {
        return bounds("the number of blocks");
    }
    if roots.len() > MAX_SEGMENTS || *length == 0 {
        return bounds("the number of segments");
    }
    let capacity = rate.capacity(*shard) as u64;
    if length.div_ceil(capacity) != roots.len() as u64 {
        return bounds("the length does not fit the segments");
    }
    Ok(())
}

fn unsigned<'a>(contents: &'a Contents, roots: &'a [u8], record: &'a Record) -> Unsigned<'a> {
    Unsigned {
        m: contents.rate.needed() as u64,
        n: contents.rate.fragments() as u64,
        v: FORMAT,
        made: contents.made,
        roots: SerdeBytes::new(roots),
        salts: &contents.salts,
        shard: contents.shard as u64,
        blocks: contents.blocks,
        length: contents.length,
        record: SerdeBytes::new(record.encoded()),
    }
}

impl<'a> Unsigned<'a> {
    fn with(&self, signature: &'a [u8]) -> SignedRef<'a> {
        SignedRef {
            m: self.m,
            n: self.n,
            v: self.v,
            made: self.made,
            roots: self.roots,
            salts: self.salts,
            shard: self.shard,
            blocks: self.blocks,
            length: self.length,
            record: self.record,
            signature: SerdeBytes::new(signature),
        }
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value)
        .expect("a map of numbers, lists and byte strings has a DAG-CBOR encoding")
}

fn signed_bytes(unsigned: &Unsigned<'_>) -> Vec<u8> {
    let mut bytes = SIGNING_DOMAIN.to_vec();
    bytes.extend_from_slice(&encode(unsigned));
    bytes
}

impl PartialEq for Manifest {
    fn eq(&self, other: &Manifest) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for Manifest {}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("record", &self.record)
            .field("rate", &self.contents.rate)
            .field("segments", &self.segments())
            .field("length", &self.contents.length)
            .finish()
    }
}
