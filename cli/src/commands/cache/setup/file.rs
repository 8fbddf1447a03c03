//! A client's file: read whole, replaced whole or not at all.

use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Longest file that is read: no settings that people write come near.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why a file was not read or not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The system says no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or its directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A directory, a device, a link to nothing.
    #[error("{} is {what}", path.display())]
    Odd {
        /// The file.
        path: PathBuf,
        /// What is odd about it.
        what: String,
    },
}

impl FileError {
    pub(super) fn is_permission(&self) -> bool {
        let Self::Io { source, .. } = self else {
            return false;
        };
        matches!(
            source.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        )
    }
}

/// What is in the file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, FileError> {
    let Some(target) = target(path)? else {
        return Ok(None);
    };
    let io = |source| FileError::Io {
        path: path.to_owned(),
        source,
    };
    let odd = |what: &str| FileError::Odd {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    if !fs::metadata(&target).map_err(io)?.is_file() {
        return Err(odd("not a file with settings"));
    }
    let mut bytes = Vec::new();
    let file = File::open(&target).map_err(io)?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(odd("larger than any settings"));
    }
    let text = String::from_utf8(bytes).map_err(|_| odd("not text in UTF-8"))?;
    if text.starts_with('\u{feff}') {
        return Err(odd(
            "text behind a byte order mark, which goes before all else",
        ));
    }
    Ok(Some(text))
}

/// Makes `text` the file's content, so that whoever reads it, and the disk after a crash, has
/// either the old or the new. A link stays one, owner and permissions stay; a new file gets
/// `mode` and its directory is made.
///
/// The node's own helper replaces files that are the node's: it takes no heed of links or
/// owners, and its temporary file has a name that may be somebody's here.
pub(super) fn replace(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    let target = target(path)?.unwrap_or_else(|| path.to_owned());
    let parent = parent(&target);
    let io = |source| FileError::Io {
        path: target.clone(),
        source,
    };
    fs::create_dir_all(parent).map_err(|source| FileError::Io {
        path: parent.to_owned(),
        source,
    })?;
    let mut temporary = tempfile::Builder::new()
        .prefix(".hedgerow-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(parent)
        .map_err(io)?;
    if let Ok(old) = fs::metadata(&target) {
        keep_owner(temporary.as_file(), &old).map_err(io)?;
    }
    temporary.write_all(text.as_bytes()).map_err(io)?;
    temporary.as_file().sync_all().map_err(io)?;
    temporary
        .persist(&target)
        .map_err(|error| io(error.error))?;
    sync(parent)
}

/// Removes the file that was made here; of a link, what it leads to is emptied.
pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    if path.is_symlink() {
        return replace(path, "", 0o600);
    }
    let io = |source| FileError::Io {
        path: path.to_owned(),
        source,
    };
    fs::remove_file(path).map_err(io)?;
    sync(parent(path))
}

fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())
}

/// The file that `path` leads to; `None` if there is nothing.
fn target(path: &Path) -> Result<Option<PathBuf>, FileError> {
    match fs::canonicalize(path) {
        Ok(target) => Ok(Some(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            let to = fs::read_link(path).unwrap_or_default();
            Err(FileError::Odd {
                path: path.to_owned(),
                what: format!("a link to {}, which is not there", to.display()),
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

fn parent(path: &Path) -> &Path {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn sync(directory: &Path) -> Result<(), FileError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| FileError::Io {
            path: directory.to_owned(),
            source,
        })
}
