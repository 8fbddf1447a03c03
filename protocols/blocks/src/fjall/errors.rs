//! What the engine's errors mean for a store.

use std::io::{self, ErrorKind};
use std::path::Path;

use ::fjall::{Error, LsmError};

use crate::store::StoreError;

pub(super) fn on_open(path: &Path, error: Error) -> StoreError {
    let place = path.display();
    match error {
        Error::Locked => StoreError::Locked,
        Error::InvalidVersion(_) => {
            StoreError::Failed(format!("{place} was written by another storage engine"))
        }
        error => match on_write(error) {
            StoreError::Failed(text) | StoreError::Corrupt(text) => {
                StoreError::Failed(format!("{place}: {text}"))
            }
            other => other,
        },
    }
}

pub(super) fn on_read(error: Error) -> StoreError {
    match &error {
        Error::Storage(
            LsmError::ChecksumMismatch { .. }
            | LsmError::InvalidHeader(_)
            | LsmError::InvalidTrailer
            | LsmError::InvalidTag(_)
            | LsmError::Decompress(_),
        ) => StoreError::Corrupt(describe(&error)),
        // Part of the file is gone, or all of it.
        Error::Storage(LsmError::Io(io)) | Error::Io(io)
            if matches!(io.kind(), ErrorKind::UnexpectedEof | ErrorKind::NotFound) =>
        {
            StoreError::Corrupt(describe(&error))
        }
        _ => StoreError::Failed(describe(&error)),
    }
}

pub(super) fn on_write(error: Error) -> StoreError {
    let full = |io: &io::Error| {
        matches!(
            io.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        )
    };
    match &error {
        Error::Storage(LsmError::Io(io)) | Error::Io(io) if full(io) => {
            StoreError::Full(io.to_string())
        }
        Error::Poisoned => StoreError::Failed(
            "an earlier write failed; what is stored can be read, restart to write again".into(),
        ),
        _ => StoreError::Failed(describe(&error)),
    }
}

fn describe(error: &Error) -> String {
    match error {
        Error::Io(io) | Error::Storage(LsmError::Io(io)) => io.to_string(),
        Error::Storage(LsmError::ChecksumMismatch { .. }) => "its checksum does not match".into(),
        Error::Storage(error) => error.to_string(),
        error => error.to_string(),
    }
}
