//! The newest records of an object: one, or several where there is a fork (J11, J12).

use bytes::Bytes;
use cid::Cid;
use guid::Guid;
use serde_bytes::ByteBuf;

use crate::record::{MAX_HEADS, MAX_RECORD, Record};
use crate::record_error::RecordError;

/// Largest encoding of an object's heads, in bytes.
pub const MAX_HEADS_BYTES: usize = MAX_HEADS * (MAX_RECORD + 4) + 4;

/// Bits of a version for the number of heads less one.
const COUNT_BITS: u32 = 3;

/// Bits of a version that begin the smallest hash.
const HASH_BITS: u32 = 21;

/// The records of an object with its highest number. Never empty; in one order, so that
/// the same heads have one encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heads(Vec<Record>);

impl Heads {
    /// A single record.
    pub fn of(record: Record) -> Heads {
        Heads(vec![record])
    }

    /// Reads the heads of the object `aguid`.
    pub fn decode(aguid: Guid, bytes: &[u8]) -> Result<Heads, RecordError> {
        let heads = Heads::of_any(bytes)?;
        match heads.aguid() == aguid {
            true => Ok(heads),
            false => Err(RecordError::OtherObject),
        }
    }

    /// Reads the heads of whatever object they are of.
    pub fn of_any(bytes: &[u8]) -> Result<Heads, RecordError> {
        if bytes.len() > MAX_HEADS_BYTES {
            return Err(RecordError::TooLarge { size: bytes.len() });
        }
        let encoded: Vec<ByteBuf> = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| RecordError::Malformed(error.to_string()))?;
        if encoded.is_empty() || encoded.len() > MAX_HEADS {
            return Err(RecordError::Heads("too few or too many"));
        }
        let records = encoded.iter().map(|bytes| Record::decode(bytes));
        let heads = Heads(records.collect::<Result<_, _>>()?);
        let aguid = heads.aguid();
        if heads.0.iter().any(|record| record.aguid() != aguid) {
            return Err(RecordError::OtherObject);
        }
        if heads.0.iter().any(|record| record.seq() != heads.seq()) {
            return Err(RecordError::Heads("of several numbers"));
        }
        if !heads.0.is_sorted_by(|a, b| hash(a) > hash(b)) {
            return Err(RecordError::Heads("out of order, or one twice"));
        }
        if heads.encode() != bytes {
            return Err(RecordError::NotCanonical);
        }
        Ok(heads)
    }

    /// The encoding.
    pub fn encode(&self) -> Bytes {
        let records = self.0.iter();
        let records: Vec<_> = records
            .map(|record| serde_bytes::Bytes::new(record.encoded()))
            .collect();
        serde_ipld_dagcbor::to_vec(&records)
            .expect("a list of byte strings has a DAG-CBOR encoding")
            .into()
    }

    /// The heads that two sets of heads of one object make.
    pub fn join(self, other: Heads) -> Heads {
        match self.seq().cmp(&other.seq()) {
            std::cmp::Ordering::Less => return other,
            std::cmp::Ordering::Greater => return self,
            std::cmp::Ordering::Equal => {}
        }
        let mut records = self.0;
        records.extend(other.0);
        records.sort_by(|a, b| hash(b).cmp(hash(a)));
        records.dedup();
        records.truncate(MAX_HEADS);
        Heads(records)
    }

    /// Which of two sets of heads is newer, in one number (J12).
    pub fn version(&self) -> u64 {
        let last = self.0.last().expect("never empty");
        let [a, b, c, ..] = hash(last) else {
            unreachable!("SHA-256 has 32 bytes")
        };
        let tie = u64::from_be_bytes([0, 0, 0, 0, 0, *a, *b, *c]) >> (24 - HASH_BITS);
        let more = self.0.len() as u64 - 1;
        self.seq() << (COUNT_BITS + HASH_BITS) | more << HASH_BITS | tie
    }

    /// The number in a [version](Heads::version).
    pub fn seq_of(version: u64) -> u64 {
        version >> (COUNT_BITS + HASH_BITS)
    }

    /// The number of the version, the same for all heads.
    pub fn seq(&self) -> u64 {
        self.0[0].seq()
    }

    /// The records: more than one where there is a fork.
    pub fn records(&self) -> &[Record] {
        &self.0
    }

    /// The record, if there is no fork.
    pub fn single(&self) -> Option<&Record> {
        match &self.0[..] {
            [record] => Some(record),
            _ => None,
        }
    }

    /// Their names.
    pub fn vguids(&self) -> Vec<Cid> {
        self.0.iter().map(Record::vguid).collect()
    }

    /// Whose object it is: the GUID of the key.
    pub(crate) fn owner(&self) -> Guid {
        Guid::of_key(&self.0[0].author().encode_protobuf())
    }

    /// The object.
    pub fn aguid(&self) -> Guid {
        self.0[0].aguid()
    }
}

fn hash(record: &Record) -> &[u8] {
    record.hash()
}
