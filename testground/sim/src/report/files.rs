//! Results on disk: whole or not at all (S13).

use std::io::Write;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A result could not be written.
#[derive(Debug, Error)]
#[error("cannot write {path}")]
pub struct FileError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// Writes a file so that whoever stops this in the middle finds the old one or the new
/// one: beside it first, then renamed.
///
/// # Errors
/// When it cannot be written; the old one is still there then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let write = || -> std::io::Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| FileError {
        path: path.to_owned(),
        source,
    })
}
