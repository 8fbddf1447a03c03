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
            // A block that should be there: the name is, and a client is to ask again.
            ("not_found", _) => S3ErrorCode::ServiceUnavailable,
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
    let unknown = is_unknown(&error);
    let mut failed = S3Error::from(Failed::from(read_failed(error)));
    if unknown {
        failed.set_code(S3ErrorCode::NoSuchKey);
    }
    failed
}

/// Whether there is nothing of this name, which is known; all else may be got later.
pub(super) fn is_unknown(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::NotFound { .. } | ReadError::Removed { .. } | ReadError::NoVersion { .. }
    )
}

pub(super) fn write(error: WriteError) -> S3Error {
    match error {
        WriteError::Read(error) => read(error),
        error => Failed::from(write_failed(error)).into(),
    }
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

#[cfg(test)]
mod tests {
    use cid::Cid;

    use super::*;

    #[test]
    fn a_block_that_is_missing_is_not_a_key_that_is_missing() {
        let missing = || Box::new(replicas::GetError::NotFound { asked: Vec::new() });
        let block = read(ReadError::Block {
            vguid: Cid::default(),
            source: missing(),
        });
        let content = export(ExportError::Source {
            cid: Cid::default(),
            source: missing(),
        });
        for failed in [block, content] {
            assert_eq!(*failed.code(), S3ErrorCode::ServiceUnavailable);
            assert_eq!(failed.status_code(), Some(StatusCode::SERVICE_UNAVAILABLE));
        }
        let name = read(ReadError::Removed { seq: 2 });
        assert_eq!(*name.code(), S3ErrorCode::NoSuchKey);
        assert_eq!(name.status_code(), Some(StatusCode::NOT_FOUND));
    }
}
