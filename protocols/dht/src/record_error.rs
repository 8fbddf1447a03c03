//! What can be wrong with a record.

use libp2p_identity::SigningError;

use crate::record::{MAX_PUBLISHER, MAX_RECORD, MAX_SEQ, MAX_SIGNATURE, MAX_VALUE};

/// A value longer than [`MAX_VALUE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value has {size} bytes, at most {MAX_VALUE} are kept")]
pub struct ValueTooLarge {
    /// Its length in bytes.
    pub size: usize,
}

/// Why a record could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The value is too long.
    #[error(transparent)]
    Value(#[from] ValueTooLarge),
    /// The publisher has used all sequence numbers of this item.
    #[error("the sequence number is above {MAX_SEQ}")]
    SeqTooHigh,
    /// The key would not sign.
    #[error("the node's key could not sign the record")]
    Signing(#[from] SigningError),
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// More than [`MAX_RECORD`] bytes.
    #[error("the record has {size} bytes, at most {MAX_RECORD} are accepted")]
    TooLarge {
        /// Its length in bytes.
        size: usize,
    },
    /// No DAG-CBOR map with the fields of a record.
    #[error("not a record: {0}")]
    Malformed(String),
    /// The same content has a shorter or differently ordered encoding.
    #[error("the record is not in its one deterministic encoding")]
    NotCanonical,
    /// The value is too long.
    #[error(transparent)]
    Value(#[from] ValueTooLarge),
    /// More than [`MAX_PUBLISHER`] bytes of public key.
    #[error("the publisher's key has {size} bytes, at most {MAX_PUBLISHER} are accepted")]
    PublisherTooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// More than [`MAX_SIGNATURE`] bytes of signature.
    #[error("the signature has {size} bytes, at most {MAX_SIGNATURE} are accepted")]
    SignatureTooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// A sequence number above [`MAX_SEQ`].
    #[error("the sequence number is above {MAX_SEQ}")]
    SeqTooHigh,
    /// The publisher's key cannot be read.
    #[error("the publisher's key cannot be read: {0}")]
    Publisher(String),
    /// The signature is not the publisher's over this record.
    #[error("the signature is not the publisher's")]
    Forged,
    /// Its time is over.
    #[error("the record expired at {expires}, it is {now}")]
    Expired {
        /// When, in Unix seconds.
        expires: u64,
        /// The clock here, in Unix seconds.
        now: u64,
    },
    /// It would live longer than [`crate::MAX_LIFETIME`].
    #[error("the record expires at {expires}, too far ahead of {now}")]
    TooFarAhead {
        /// When, in Unix seconds.
        expires: u64,
        /// The clock here, in Unix seconds.
        now: u64,
    },
}
