//! Deterministic DAG-CBOR through serde (W1).

use serde::{Serialize, de::DeserializeOwned};

/// Bytes that are not the DAG-CBOR encoding of what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid message: {0}")]
pub struct DecodeError(String);

/// The one DAG-CBOR encoding of `value`.
///
/// # Panics
///
/// If `value` has no DAG-CBOR encoding: a map whose keys are not strings, a number
/// outside 64 bits, NaN. That is a mistake in the type, not in the data.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).expect("our message types have a DAG-CBOR encoding")
}

/// Reads a value that takes up all of `bytes`. Lengths, integers and key order must be
/// canonical, so a value has exactly one encoding that is accepted.
///
/// # Errors
///
/// Anything else than one complete, canonical value of the type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    serde_ipld_dagcbor::from_slice(bytes).map_err(|error| DecodeError(error.to_string()))
}
