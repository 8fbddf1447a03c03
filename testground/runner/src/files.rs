//! Files that are whole or not there.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file beside its place and then puts it there, so that nobody reads half of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // Results are for everyone that the user's umask allows.
    let everyone = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new()
        .permissions(everyone)
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// The last lines of a file of text, at most so many bytes of it; empty where there is none.
pub(crate) fn tail(path: &Path, lines: usize, bytes: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};

    let mut read = Vec::new();
    let ended = std::fs::File::open(path).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        file.take(bytes).read_to_end(&mut read)
    });
    if ended.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&read);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
