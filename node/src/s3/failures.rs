//! Failures of the node as S3 says them.

use http::StatusCode;
use objects::{ReadError, WriteError};
use s3s::{S3Error, S3ErrorCode};
use unixfs::{ExportError, ImportError, SpliceError};

use crate::api::{ApiError, export_failed, import_failed, read_failed, write_failed};

/// There is no room on this node or its replicas; S3 has no word for it.
const FULL: &str = "InsufficientStorage";

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Failed {
        let (status, code, message) = error.into_parts();
        let code = match (code.as_str(), status) {
            ("bad_request", _) => S3ErrorCode::InvalidRequest,
            ("not_found", _) => S3ErrorCode::NoSuchKey,
            ("fork", _) => S3ErrorCode::OperationAborted,
            ("precondition_failed", _) => S3ErrorCode::PreconditionFailed,
            ("unavailable" | "timeout", _) => S3ErrorCode::ServiceUnavailable,
            (_, StatusCode::INSUFFICIENT_STORAGE) => S3ErrorCode::Custom(FULL.into()),
            _ => S3ErrorCode::InternalError,
        };
        let mut failed = S3Error::with_message(code, message);
        if status == StatusCode::INSUFFICIENT_STORAGE {
            failed.set_status_code(status);
        }
        Failed(failed)
    }
}

/// An error of the node on its way to the client.
#[derive(Debug)]
pub(super) struct Failed(S3Error);

impl From<Failed> for S3Error {
    fn from(failed: Failed) -> S3Error {
        failed.0
    }
}

pub(super) fn read(error: ReadError) -> S3Error {
    Failed::from(read_failed(error)).into()
}

pub(super) fn write(error: WriteError) -> S3Error {
    Failed::from(write_failed(error)).into()
}

pub(super) fn export(error: ExportError) -> S3Error {
    Failed::from(export_failed(error)).into()
}

pub(super) fn import(error: ImportError) -> S3Error {
    Failed::from(import_failed(error)).into()
}

/// What a splice that is no mistake of the client's failed by.
pub(super) fn splice(error: SpliceError) -> S3Error {
    write(WriteError::Splice(error))
}

/// A block of the door's own could not be stored.
pub(super) fn block(error: unixfs::BoxError) -> S3Error {
    write(WriteError::Block(error))
}
