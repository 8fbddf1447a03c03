//! What the storage engine's errors mean for a store. Every collection on disk uses the same
//! engine.

use std::io::{self, ErrorKind};
use std::path::Path;

use fjall::{Error, LsmError};

use crate::StoreError;

/// The store in the directory `path` could not be opened.
pub fn on_open(path: &Path, error: Error) -> StoreError {
    let place = path.display();
    match error {
        Error::Locked => StoreError::Locked,
        Error::InvalidVersion(_) => {
            StoreError::Failed(format!("{place} was written by another storage engine"))
        }
        error if is_damage(&error) => StoreError::Corrupt(describe(&error)),
        error => match on_write(error) {
            StoreError::Failed(text) => StoreError::Failed(format!("{place}: {text}")),
            other => other,
        },
    }
}

/// Something could not be read.
pub fn on_read(error: Error) -> StoreError {
    match is_damage(&error) {
        true => StoreError::Corrupt(describe(&error)),
        false => StoreError::Failed(describe(&error)),
    }
}

/// Whether what is on disk is not what was written.
fn is_damage(error: &Error) -> bool {
    match error {
        Error::Storage(
            LsmError::ChecksumMismatch { .. }
            | LsmError::InvalidHeader(_)
            | LsmError::InvalidTrailer
            | LsmError::InvalidTag(_)
            | LsmError::Decompress(_)
            | LsmError::Unrecoverable,
        )
        | Error::JournalRecovery(_)
        | Error::InvalidTrailer
        | Error::InvalidTag(_)
        | Error::Unrecoverable => true,
        // Part of the file is gone, or all of it.
        Error::Storage(LsmError::Io(io)) | Error::Io(io) => {
            matches!(io.kind(), ErrorKind::UnexpectedEof | ErrorKind::NotFound)
        }
        _ => false,
    }
}

/// Something could not be written.
pub fn on_write(error: Error) -> StoreError {
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

/// Room that a record or a removal takes in the engine's journal, many times over.
const JOURNAL_ROOM: u64 = 16 << 20;

/// Whether the engine may be given something small to write. A journal that could not be
/// written makes it refuse all later writes, so it is better not asked.
pub fn check_room(path: &Path) -> Result<(), StoreError> {
    match free_on_disk(path)? >= JOURNAL_ROOM {
        true => Ok(()),
        false => Err(StoreError::Full(format!(
            "fewer than {JOURNAL_ROOM} bytes are free on the disk"
        ))),
    }
}

/// Bytes that this user may still write to the disk that `path` is on.
pub fn free_on_disk(path: &Path) -> Result<u64, StoreError> {
    let stat =
        nix::sys::statvfs::statvfs(path).map_err(|error| StoreError::Failed(error.to_string()))?;
    #[allow(clippy::unnecessary_cast)] // The types differ between systems.
    Ok((stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64))
}

fn describe(error: &Error) -> String {
    match error {
        Error::Io(io) | Error::Storage(LsmError::Io(io)) => io.to_string(),
        Error::Storage(LsmError::ChecksumMismatch { .. }) => "its checksum does not match".into(),
        Error::Storage(LsmError::Unrecoverable) | Error::Unrecoverable => {
            "a file is missing or cut off".into()
        }
        Error::Storage(error) => error.to_string(),
        error => error.to_string(),
    }
}
