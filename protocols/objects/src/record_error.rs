//! What can be wrong with a version record.

use libp2p_identity::SigningError;

use crate::NameError;
use crate::record::{MAX_AUTHOR, MAX_HEADS, MAX_RECORD, MAX_SEQ, MAX_SIGNATURE};

/// Why a version could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// It breaks a rule of records.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The key would not sign.
    #[error("the key could not sign the version")]
    Signing(#[from] SigningError),
}

/// What is wrong with a record, or with the heads of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// More than [`MAX_RECORD`] bytes.
    #[error("the record has {size} bytes, at most {MAX_RECORD} are accepted")]
    TooLarge {
        /// Its length in bytes.
        size: usize,
    },
    /// No DAG-CBOR map with the fields of a record.
    #[error("not a version record: {0}")]
    Malformed(String),
    /// The same content has another encoding, which is the one.
    #[error("the record is not in its one deterministic encoding")]
    NotCanonical,
    /// Another format, or a field that this one leaves empty.
    #[error("the record has {0}, which this program does not know: use a newer one")]
    Newer(&'static str),
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Its number is 0 or too high.
    #[error("a version's number is 1 to {MAX_SEQ}")]
    Seq,
    /// What it says of the versions before it contradicts its number or itself.
    #[error("the record and those before it do not fit: {0}")]
    Previous(&'static str),
    /// A CID that cannot be a root, or a record before.
    #[error("{0} is no CID of a file, a directory or a version record")]
    Cid(&'static str),
    /// More than [`MAX_AUTHOR`] bytes of public key.
    #[error("the author's key has {size} bytes, at most {MAX_AUTHOR} are accepted")]
    AuthorTooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// More than [`MAX_SIGNATURE`] bytes of signature.
    #[error("the signature has {size} bytes, at most {MAX_SIGNATURE} are accepted")]
    SignatureTooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// The author's key cannot be read.
    #[error("the author's key cannot be read: {0}")]
    Author(String),
    /// The object is not the author's, or has another name.
    #[error("the AGUID is not that of the author and the name")]
    NotTheirs,
    /// The signature is not the author's over this record.
    #[error("the signature is not the author's")]
    Forged,
    /// The record is of another object than it was given for.
    #[error("the record is another object's")]
    OtherObject,
    /// No list of heads.
    #[error("the heads of an object are 1 to {MAX_HEADS} records of one number, in order: {0}")]
    Heads(&'static str),
}
