//! The signed record: what one publisher says under one key, until when.
//!
//! A [`Record`] in memory is always genuine: both ways to make one, signing and
//! decoding, end in a checked signature, so nothing behind them asks again. Time is
//! not checked here, since a record that is good today expires tomorrow; see
//! [`Record::check_time`].

use std::cmp::Ordering;
use std::fmt;

use bytes::Bytes;
use guid::Guid;
use libp2p_identity::{Keypair, PeerId, PublicKey};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes as SerdeBytes};
use sha2::{Digest, Sha256};

use crate::{Item, RecordError, SignError, ValueTooLarge};

/// Largest value, in bytes (D3). Values are small facts about files, people and
/// services; content goes into blocks, which are fetched in parallel.
pub const MAX_VALUE: usize = 64 * 1024;

/// Largest encoded public key, in bytes (D3): RSA of 8,192 bits, the longest that
/// libp2p accepts, takes 1,062 bytes in its protobuf.
pub const MAX_PUBLISHER: usize = 1_100;

/// Largest signature, in bytes (D3): that of an RSA key of 8,192 bits.
pub const MAX_SIGNATURE: usize = 1_024;

/// Largest encoded record, in bytes (D3): value, key, signature, and no more than 128
/// bytes of names, numbers and lengths around them.
pub const MAX_RECORD: usize = MAX_VALUE + MAX_PUBLISHER + MAX_SIGNATURE + 128;

/// Longest time a record may have before it, in seconds (D5): 30 days. It bounds how
/// long a forgotten record takes room, and how long a tombstone must be kept.
pub const MAX_LIFETIME: u64 = 30 * 24 * 3_600;

/// How far two nodes' clocks may lie apart, in seconds (D5): 10 minutes. Machines
/// with NTP are within one second, those without drift by minutes in a month.
pub const MAX_CLOCK_SKEW: u64 = 600;

/// Highest sequence number (D4): 2^40 - 1, an update every millisecond for 34 years. The
/// rest of a [`Record::version`] tells records apart that have the same number.
pub const MAX_SEQ: u64 = (1 << SEQ_BITS) - 1;

const SEQ_BITS: u32 = 40;

/// Bits of a version below the sequence number: one says tombstone, the others begin the
/// record's digest.
const TIE_BITS: u32 = 64 - SEQ_BITS;

/// What precedes the encoding in the signed bytes (D2): a signature given here means
/// nothing in any other protocol, nor in a later format of this one.
pub const SIGNING_DOMAIN: &[u8] = b"hedgerow/dht/record/1\0";

/// What one publisher says under one key.
///
/// Equal when the encodings are equal. Cheap to clone but for the public key.
#[derive(Clone)]
pub struct Record {
    key: Guid,
    seq: u64,
    expires: u64,
    body: Option<Bytes>,
    publisher: PublicKey,
    owner: Guid,
    encoded: Bytes,
    digest: [u8; 32],
}

/// The fields that are signed. DAG-CBOR orders them by length of name, then by name.
#[derive(Serialize)]
struct Unsigned<'a> {
    key: Guid,
    seq: u64,
    body: Option<&'a SerdeBytes>,
    expires: u64,
    publisher: &'a SerdeBytes,
}

#[derive(Serialize)]
struct SignedRef<'a> {
    key: Guid,
    seq: u64,
    body: Option<&'a SerdeBytes>,
    expires: u64,
    publisher: &'a SerdeBytes,
    signature: &'a SerdeBytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    key: Guid,
    seq: u64,
    body: Option<ByteBuf>,
    expires: u64,
    publisher: ByteBuf,
    signature: ByteBuf,
}

impl Record {
    /// Signs `value` under `key`; without a value, a tombstone.
    ///
    /// `seq` must exceed that of the publisher's record in force, `expires` is in Unix
    /// seconds.
    pub fn sign(
        keypair: &Keypair,
        key: Guid,
        seq: u64,
        expires: u64,
        value: Option<Bytes>,
    ) -> Result<Record, SignError> {
        if let Some(value) = &value {
            check_value(value)?;
        }
        if seq > MAX_SEQ {
            return Err(SignError::SeqTooHigh);
        }
        let publisher = keypair.public();
        let encoded_key = publisher.encode_protobuf();
        let unsigned = Unsigned {
            key,
            seq,
            body: value.as_deref().map(SerdeBytes::new),
            expires,
            publisher: SerdeBytes::new(&encoded_key),
        };
        let signature = keypair.sign(&signed_bytes(&unsigned))?;
        let encoded = encode(&unsigned.with(&signature));
        Ok(Record {
            key,
            seq,
            expires,
            body: value,
            publisher,
            owner: Guid::of_key(&encoded_key),
            digest: Sha256::digest(&encoded).into(),
            encoded: encoded.into(),
        })
    }

    /// Reads a record and checks form (D1), bounds (D3) and signature (D2).
    pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::TooLarge { size: bytes.len() });
        }
        let signed: Signed = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| RecordError::Malformed(error.to_string()))?;
        if let Some(value) = &signed.body {
            check_value(value)?;
        }
        if signed.publisher.len() > MAX_PUBLISHER {
            return Err(RecordError::PublisherTooLong {
                size: signed.publisher.len(),
            });
        }
        if signed.signature.len() > MAX_SIGNATURE {
            return Err(RecordError::SignatureTooLong {
                size: signed.signature.len(),
            });
        }
        if signed.seq > MAX_SEQ {
            return Err(RecordError::SeqTooHigh);
        }
        let unsigned = Unsigned {
            key: signed.key,
            seq: signed.seq,
            body: signed.body.as_deref().map(|value| SerdeBytes::new(value)),
            expires: signed.expires,
            publisher: SerdeBytes::new(&signed.publisher),
        };
        // D1: one record has one encoding. Otherwise anybody could make copies of a
        // record that differ, and replicas would never agree.
        if encode(&unsigned.with(&signed.signature)) != bytes {
            return Err(RecordError::NotCanonical);
        }
        let publisher = PublicKey::try_decode_protobuf(&signed.publisher)
            .map_err(|error| RecordError::Publisher(error.to_string()))?;
        if publisher.encode_protobuf() != signed.publisher.as_slice() {
            return Err(RecordError::NotCanonical);
        }
        if !publisher.verify(&signed_bytes(&unsigned), &signed.signature) {
            return Err(RecordError::Forged);
        }
        Ok(Record {
            key: signed.key,
            seq: signed.seq,
            expires: signed.expires,
            owner: Guid::of_key(&signed.publisher),
            body: signed.body.map(|value| Bytes::from(value.into_vec())),
            publisher,
            encoded: Bytes::copy_from_slice(bytes),
            digest: Sha256::digest(bytes).into(),
        })
    }

    /// Whether the record may be accepted or served at `now`, in Unix seconds (D5).
    pub fn check_time(&self, now: u64) -> Result<(), RecordError> {
        if self.expires <= now {
            return Err(RecordError::Expired {
                expires: self.expires,
                now,
            });
        }
        if self.expires > latest_expiry(now) {
            return Err(RecordError::TooFarAhead {
                expires: self.expires,
                now,
            });
        }
        Ok(())
    }

    /// Which of two records of one item is in force: the greater (D4). Replicas that
    /// have seen the same records agree, in whatever order these came.
    pub fn cmp_force(&self, other: &Record) -> Ordering {
        (self.seq, self.is_tombstone(), self.digest).cmp(&(
            other.seq,
            other.is_tombstone(),
            other.digest,
        ))
    }

    /// The order of [`Record::cmp_force`] in one number, up to records whose digests
    /// begin with the same 23 bits: 40 bits of sequence number, one that is set in a
    /// tombstone, 23 bits of digest (D4). Replicas compare it to see who is behind.
    pub fn version(&self) -> u64 {
        let [a, b, c, ..] = self.digest;
        let digest = u64::from_be_bytes([0, 0, 0, 0, 0, a, b, c]) >> 1;
        self.seq << TIE_BITS | u64::from(self.is_tombstone()) << (TIE_BITS - 1) | digest
    }

    /// The sequence number in a version.
    pub(crate) fn seq_of_version(version: u64) -> u64 {
        version >> TIE_BITS
    }

    /// The key it stands under.
    pub fn key(&self) -> Guid {
        self.key
    }

    /// Which of the publisher's records under the key it is; the highest is in force.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// When it ends, in Unix seconds. It is not served from this second on.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The value; none in a tombstone.
    pub fn value(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// Whether it says that the publisher's record was removed.
    pub fn is_tombstone(&self) -> bool {
        self.body.is_none()
    }

    /// Who signed it.
    pub fn publisher(&self) -> &PublicKey {
        &self.publisher
    }

    /// The publisher as a peer.
    pub fn publisher_peer(&self) -> PeerId {
        self.publisher.to_peer_id()
    }

    /// What the record is one version of: key and publisher.
    pub fn item(&self) -> Item {
        Item {
            key: self.key,
            publisher: self.owner,
        }
    }

    /// Its encoding: what travels and what is kept.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }
}

/// The last moment a record accepted at `now` may expire, in Unix seconds (D5).
pub fn latest_expiry(now: u64) -> u64 {
    now.saturating_add(MAX_LIFETIME)
        .saturating_add(MAX_CLOCK_SKEW)
}

impl<'a> Unsigned<'a> {
    fn with(&self, signature: &'a [u8]) -> SignedRef<'a> {
        SignedRef {
            key: self.key,
            seq: self.seq,
            body: self.body,
            expires: self.expires,
            publisher: self.publisher,
            signature: SerdeBytes::new(signature),
        }
    }
}

fn check_value(value: &[u8]) -> Result<(), ValueTooLarge> {
    if value.len() > MAX_VALUE {
        return Err(ValueTooLarge { size: value.len() });
    }
    Ok(())
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value)
        .expect("a map of numbers and byte strings has a DAG-CBOR encoding")
}

fn signed_bytes(unsigned: &Unsigned<'_>) -> Vec<u8> {
    let mut bytes = SIGNING_DOMAIN.to_vec();
    bytes.extend_from_slice(&encode(unsigned));
    bytes
}

impl PartialEq for Record {
    fn eq(&self, other: &Record) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for Record {}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("item", &self.item())
            .field("seq", &self.seq)
            .field("expires", &self.expires)
            .field("value_bytes", &self.body.as_ref().map(Bytes::len))
            .finish()
    }
}
