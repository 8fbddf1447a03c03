//! A body's file, which lives as long as somebody needs it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::memory::Memory;

/// The files of one body. When the last of its users drops it the files are removed, unless
/// the store is closing: then they are there at the next start.
#[derive(Debug)]
pub(crate) struct BodyFile {
    path: PathBuf,
    closing: Arc<AtomicBool>,
    memory: Arc<Memory>,
}

impl BodyFile {
    pub(crate) fn new(path: PathBuf, closing: Arc<AtomicBool>, memory: Arc<Memory>) -> BodyFile {
        BodyFile {
            path,
            closing,
            memory,
        }
    }

    /// What those who read it have to share.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of the body; it is there only once the body is whole.
    pub(crate) fn meta_path(&self) -> PathBuf {
        self.path.with_extension("meta")
    }

    /// Writes what is known of the body: whole or not at all.
    pub(crate) fn write_meta(&self, meta: &[u8]) -> io::Result<()> {
        let part = self.path.with_extension("part");
        let written = fs::write(&part, meta).and_then(|()| fs::rename(&part, self.meta_path()));
        if written.is_err() {
            // Nobody else would remove it; where there is none, there is nothing to do.
            drop(fs::remove_file(&part));
        }
        written
    }
}

impl Drop for BodyFile {
    fn drop(&mut self) {
        if self.closing.load(Ordering::Relaxed) {
            return;
        }
        // The meta first: a body without one is removed at the next start.
        for path in [self.meta_path(), self.path.clone()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "file of the web cache not removed");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}
