//! The file that an export writes, and what an earlier one left in it (rule U16).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{
    self,
    ErrorKind::{AlreadyExists, NotFound},
};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cid::Cid;

use crate::dagpb::Node;
use crate::data::{Data, DataType};
use crate::error::ExportError;
use crate::fetch::{RAW, verify};
use crate::profile::MAX_BLOCK;

/// How long a lock that somebody else holds is waited for. When an export fails or is dropped, its
/// last writes still run for a moment, with the lock; a try right after it must not stumble.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// A file that is being written. All its work is done on threads that may block.
#[derive(Debug)]
pub(crate) struct Part {
    file: File,
    path: PathBuf,
    /// Length when it was opened: nothing beyond is worth looking at.
    found: u64,
}

impl Part {
    /// Opens or creates the file and locks it against other exports.
    pub(crate) async fn open(path: &Path) -> Result<Arc<Part>, ExportError> {
        let mut waited = Duration::ZERO;
        loop {
            let path = path.to_owned();
            match blocking(move || Part::try_open(path)).await {
                Err(ExportError::Busy(_)) if waited < LOCK_PATIENCE => {
                    tokio::time::sleep(LOCK_RETRY).await;
                    waited += LOCK_RETRY;
                }
                opened => return opened.map(Arc::new),
            }
        }
    }

    fn try_open(path: PathBuf) -> Result<Part, ExportError> {
        let exists = match std::fs::symlink_metadata(&path) {
            // Never through a link: it would lead the bytes out of the folder.
            Ok(metadata) if !metadata.is_file() => return Err(ExportError::Exists(path)),
            Ok(_) => true,
            Err(_) => false,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(!exists);
        let failed = |source| ExportError::Write {
            path: path.clone(),
            source,
        };
        let file = match options.open(&path) {
            Ok(file) => file,
            // Another export made or took away the file between the look and this: it is at work.
            Err(error) => {
                return Err(match (error.kind(), exists) {
                    // Made or taken away since the look: another export is at work.
                    (AlreadyExists, false) | (NotFound, true) => ExportError::Busy(path),
                    _ => failed(error),
                });
            }
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ExportError::Busy(path)),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let found = file.metadata().map_err(failed)?.len();
        Ok(Part { file, path, found })
    }

    /// Length of what an earlier export left.
    pub(crate) fn found(&self) -> u64 {
        self.found
    }

    /// Whether the bytes that the block stands for are here already, by its hash.
    pub(crate) async fn has(self: &Arc<Self>, cid: Cid, offset: u64, size: u64) -> bool {
        let within = offset
            .checked_add(size)
            .is_some_and(|end| end <= self.found);
        if !within || size > MAX_BLOCK as u64 {
            return false;
        }
        let part = Arc::clone(self);
        blocking(move || {
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(MAX_BLOCK)];
            part.file.read_exact_at(&mut bytes, offset).is_ok() && stands_for(&cid, bytes.into())
        })
        .await
    }

    pub(crate) async fn write(
        self: &Arc<Self>,
        offset: u64,
        bytes: Bytes,
    ) -> Result<(), ExportError> {
        let part = Arc::clone(self);
        let written = blocking(move || part.file.write_all_at(&bytes, offset)).await;
        written.map_err(|source| self.error(source))
    }

    /// Cuts the file to its length and has it on disk when this returns.
    pub(crate) async fn finish(self: &Arc<Self>, len: u64) -> Result<(), ExportError> {
        let part = Arc::clone(self);
        let finish = move || {
            part.file.set_len(len)?;
            part.file.sync_all()
        };
        blocking(finish).await.map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> ExportError {
        ExportError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

/// Whether a leaf of these bytes has this CID: raw, or in either of the wrappings that other tools
/// give their leaves.
fn stands_for(cid: &Cid, bytes: Bytes) -> bool {
    if cid.codec() == RAW {
        return verify(cid, &bytes).is_ok();
    }
    let filesize = Some(bytes.len() as u64);
    [DataType::File, DataType::Raw].into_iter().any(|kind| {
        let data = Data {
            data: Some(bytes.clone()),
            filesize,
            ..Data::new(kind)
        };
        verify(
            cid,
            &Node {
                links: Vec::new(),
                data,
            }
            .to_block()
            .bytes,
        )
        .is_ok()
    })
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("file work does not panic and is not aborted")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dropped export's last open may still run beside that of the next try.
    #[test]
    fn whoever_opens_at_the_same_moment_waits() {
        let temp = tempfile::tempdir().unwrap();
        for round in 0..500 {
            let path = temp.path().join(round.to_string());
            let start = std::sync::Barrier::new(3);
            let opened = std::thread::scope(|scope| {
                let open = || {
                    start.wait();
                    Part::try_open(path.clone())
                };
                [(); 3]
                    .map(|()| scope.spawn(open))
                    .map(|running| running.join().unwrap())
            });
            assert!(opened.iter().any(Result::is_ok));
            for opened in opened {
                assert!(
                    matches!(opened, Ok(_) | Err(ExportError::Busy(_))),
                    "{opened:?}"
                );
            }
        }
    }
}
